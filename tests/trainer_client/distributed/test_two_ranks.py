"""Two processes do what one does: same gradients, same reports, and a failure of one is a failure of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.trainer_client.distributed.checkpoint import ShardedCheckpoints
from rewardmesh.trainer_client.distributed.ranks import RankFailedError, Ranks
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.mismatch import MismatchError
from rewardmesh.trainer_client.training.checkpoint import CheckpointError
from rewardmesh.trainer_client.training.trainer import Trainer
from tests.trainer_client.distributed.two_ranks import (
    CONFIG,
    SAMPLING,
    ByLetters,
    Listed,
    difference,
    gradients,
    policy,
    prompts,
    replaying,
    sampling,
    spawn,
    weights,
)

# Sums in another order.
TOLERANCE = 1e-6


class Broken(ByLetters):
    """A scorer that is not there."""

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        raise ConnectionError("no router")


def everything(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """All that two processes are asked to do here: starting them takes longer than this."""
    found: dict[str, Any] = {}
    scorer = ByLetters()
    training = replaying(ranks, scorer)
    found["metrics"] = training.step()
    found["gradients"] = gradients(training)
    found["asked"] = list(scorer.asked)

    checkpoints = ShardedCheckpoints(folder / "checkpoints", ranks, keep=1)
    found["empty"] = checkpoints.restore(training)
    checkpoints.save(training)
    found["saved"] = weights(training)
    resumed = replaying(ranks)
    checkpoints.restore(resumed)
    for each in (training, resumed):
        # The second step trains on the first policy's completions again
        each._config = dataclasses.replace(CONFIG, max_mismatch=100.0)  # pyright: ignore[reportPrivateUsage]
        each.step()
    found["one run"], found["two runs"] = weights(training), weights(resumed)
    found["versions"] = (training.policy.version, resumed.policy.version)

    broken = replaying(ranks, Broken() if ranks.rank == 1 else None)
    try:
        broken.step()
    except (RankFailedError, ConnectionError) as error:
        found["failure"] = (type(error).__name__, str(error))
    found["untouched"] = difference(weights(replaying(ranks)), weights(broken))

    own = sampling(ranks)
    found["sampled"] = own.step()
    found["sampled again"] = own.step()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def both(folder: Path) -> list[dict[str, Any]]:
    return spawn(everything, folder)


@pytest.fixture(scope="module")
def alone() -> Any:
    torch.set_num_threads(1)
    training = replaying(Ranks())
    return training, training.step()


def test_the_gradient_is_that_of_one_process(both: list[dict[str, Any]], alone: Any) -> None:
    expected = gradients(alone[0])
    assert len(expected) > 30
    assert all(difference(expected, each["gradients"]) <= TOLERANCE for each in both)


def test_both_report_what_one_process_reports(both: list[dict[str, Any]], alone: Any) -> None:
    expected = alone[1]
    for each in both:
        metrics = each["metrics"]
        assert metrics.trained == expected.trained == 5
        assert metrics.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-5)
        assert metrics.mismatch.tokens == expected.mismatch.tokens
        for task, numbers in expected.tasks.items():
            found = dataclasses.asdict(metrics.tasks[task])
            assert found == pytest.approx(dataclasses.asdict(numbers), rel=1e-5)


def test_each_reward_is_asked_for_once(both: list[dict[str, Any]]) -> None:
    asked = [name for each in both for name in each["asked"]]
    assert sorted(asked) == sorted(f"{prompt.id}/{number}" for prompt in prompts() for number in range(4))
    assert [len(each["asked"]) for each in both] == [12, 8]  # waves of 3 and 2 groups of 4


def test_a_run_that_was_stopped_ends_with_the_same_bits(both: list[dict[str, Any]]) -> None:
    for each in both:
        assert not each["empty"]
        assert each["versions"] == (2, 2)
        assert all(torch.equal(each["one run"][name], each["two runs"][name]) for name in each["one run"])
        assert not any(torch.equal(each["saved"][name], each["one run"][name]) for name in each["saved"])


def test_one_process_can_read_what_two_have_written(both: list[dict[str, Any]], folder: Path) -> None:
    training = replaying(Ranks())
    assert ShardedCheckpoints(folder / "checkpoints", Ranks()).restore(training)
    assert training.taken == 1
    assert all(torch.equal(both[0]["saved"][name], tensor) for name, tensor in weights(training).items())


def test_a_checkpoint_of_another_run_is_refused(both: list[dict[str, Any]], folder: Path) -> None:
    training = replaying(Ranks(), config=dataclasses.replace(CONFIG, norm="seq"))
    with pytest.raises(CheckpointError, match="norm"):
        ShardedCheckpoints(folder / "checkpoints", Ranks()).restore(training)


def test_a_failure_of_one_is_a_failure_of_both(both: list[dict[str, Any]]) -> None:
    first, second = (each["failure"] for each in both)
    assert first == ("RankFailedError", "process 1 of 2 failed: ConnectionError: no router")
    assert second == ("ConnectionError", "no router")
    assert [each["untouched"] for each in both] == [0.0, 0.0]


def test_a_sharded_model_samples_what_it_trains_on(both: list[dict[str, Any]]) -> None:
    """Both processes see the same groups; what one generated is not what the other did."""
    for step in ("sampled", "sampled again"):
        one, other = (each[step] for each in both)
        assert dataclasses.asdict(one)["tasks"] == dataclasses.asdict(other)["tasks"]
        assert one.mismatch is None or one.mismatch.largest < 1e-4


def test_what_only_one_process_can_do_is_refused() -> None:
    learner = policy()
    config = dataclasses.replace(CONFIG, measure_every=1)
    with pytest.raises(ValueError, match="for one process"):
        Trainer(learner, HfGeneration(learner, SAMPLING), ByLetters(), Listed(), config, (), Ranks(0, 2))


def test_one_process_alone_waits_for_nobody() -> None:
    assert Ranks().together(lambda: 3) == [3]
    with pytest.raises(MismatchError):
        Ranks().together(lambda: (_ for _ in ()).throw(MismatchError("off")))
