"""Means, standard errors and percentiles, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from rewardmesh.contract import Failure, Outcome, Rollout, Score, Verdict
from rewardmesh.trainer_client.demo.tasks import WORDS, make_prompt
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.sft import warm_up
from rewardmesh.trainer_client.rollout import RewardsFailedError
from rewardmesh.trainer_client.training.evaluate import compare, evaluate, evaluate_greedy
from rewardmesh.trainer_client.training.latency import TimedScorer

PROMPTS = [make_prompt(task, number)[0] for task in ("grounding", "counting", "temporal") for number in range(8)]
SAMPLING = SamplingConfig(group_size=3, max_tokens=32)


class Halves:
    """Pays even completions 1 and odd ones 0; after `patience` rollouts it breaks."""

    def __init__(self, patience: int = 10_000) -> None:
        self.patience = patience

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        self.patience -= len(rollouts)
        return [Verdict(r.id, self._one(i), reward="halves", seconds=i / 1000) for i, r in enumerate(rollouts)]

    def _one(self, place: int) -> Outcome:
        return Failure("timeout", "too late") if self.patience < 0 else Score(float(place % 2 == 0))


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Taught to end its answers: what never ends earns nothing."""
    torch.set_num_threads(1)
    taught = Policy.tiny(WORDS, seed=0)
    warm_up(taught, lambda: [(prompt, "7") for prompt in PROMPTS], steps=12, learning_rate=3e-3)
    return taught


def test_each_prompt_gets_the_mean_of_its_own_completions(policy: Policy) -> None:
    """24 prompts in batches of 16; completions of a prompt are neighbours, three each."""
    means = evaluate(policy, PROMPTS, Halves(), SAMPLING, seed=1)
    assert list(means) == [prompt.id for prompt in PROMPTS]
    assert list(means.values()) == pytest.approx([2 / 3, 1 / 3] * 12)


def test_what_is_cut_off_earns_nothing(policy: Policy) -> None:
    means = evaluate(policy, PROMPTS, Halves(), SamplingConfig(group_size=3, max_tokens=1), seed=1)
    assert set(means.values()) == {0.0}


def test_a_failure_stops_an_evaluation(policy: Policy) -> None:
    with pytest.raises(RewardsFailedError, match=r"rollout temporal-0/0 was not judged.*too late"):
        evaluate(policy, PROMPTS, Halves(patience=50), SAMPLING, seed=1)


def test_change_by_hand() -> None:
    prompts = PROMPTS[:4]
    before = dict(zip([p.id for p in prompts], [0.0, 0.2, 0.4, 0.6], strict=True))
    after = dict(zip([p.id for p in prompts], [0.1, 0.4, 0.5, 0.8], strict=True))
    change = compare(prompts, before, after)["grounding"]
    assert change.before == pytest.approx(0.3)
    assert change.after == pytest.approx(0.45)
    assert change.before_error == pytest.approx(0.1290994)
    assert change.difference_error == pytest.approx(0.0288675)  # of 0.1, 0.2, 0.1, 0.2
    assert change.sigmas == pytest.approx(5.196152)


def test_no_change_is_no_sigmas() -> None:
    same = {prompt.id: 0.5 for prompt in PROMPTS}
    assert all(change.sigmas == 0.0 for change in compare(PROMPTS, same, same).values())


def test_latencies_are_percentiles_of_what_was_scored() -> None:
    timed = TimedScorer(Halves(patience=101))
    assert timed.round_trip().samples == 0
    timed.score([PROMPTS[0].rollout("", i) for i in range(101)])
    timed.score([PROMPTS[0].rollout("")])  # failures have no scoring time
    latency = timed.scoring()["halves"]
    assert latency == (101, pytest.approx(0.050), pytest.approx(0.099))
    assert timed.round_trip().samples == 2


class Remembered:
    """Has scored every second completion before."""

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [
            Verdict(r.id, Score(1.0), reward="known", seconds=0.0 if i % 2 else 0.003, cached=i % 2 == 1)
            for i, r in enumerate(rollouts)
        ]


def test_what_is_remembered_has_no_scoring_time() -> None:
    timed = TimedScorer(Remembered())
    timed.score([PROMPTS[0].rollout("", i) for i in range(20)])
    assert timed.scoring()["known"] == (10, 0.003, 0.003)


def test_greedy_answers_are_the_same_every_time_and_one_of_each(policy: Policy) -> None:
    scorer = Halves()
    first = evaluate_greedy(policy, PROMPTS, scorer, max_tokens=32)
    assert list(first) == [prompt.id for prompt in PROMPTS]
    assert list(first.values()) == [1.0, 0.0] * 12
    assert scorer.patience == 10_000 - len(PROMPTS)
    assert evaluate_greedy(policy, PROMPTS, Halves(), max_tokens=32) == first
    with pytest.raises(RewardsFailedError):
        evaluate_greedy(policy, PROMPTS, Halves(patience=23), max_tokens=32)
