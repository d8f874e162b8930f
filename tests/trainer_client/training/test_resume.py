"""Killed at any moment, a run goes on as if nothing had been: weights to the bit, prompts, logs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rewardmesh.contract import Failure, Rollout, Score
from rewardmesh.trainer_client.logs.jsonl import read_steps
from rewardmesh.trainer_client.logs.parquet import read_rollouts
from rewardmesh.trainer_client.rollout import RewardsFailedError
from rewardmesh.trainer_client.training.checkpoint import CheckpointError, Checkpoints
from tests.trainer_client.training import killed
from tests.trainer_client.training.small import CONFIG, digits, replaying, same, taught, trainer

# Where the child is killed, each time it is started anew, and the newest checkpoint that it leaves. There is to be one
# every two steps; a file of rollouts is finished just before it.
KILLS: list[tuple[dict[str, Any], str]] = [
    ({"at": ["save", 1]}, ""),  # in the middle of writing the first checkpoint
    ({"at": ["replace", 2]}, ""),  # it is written, and has not got its name
    ({"at": ["fsync", 10]}, "step-00000002.pt"),  # a step further, one log is ahead of the other
    ({"at": ["save", 1]}, "step-00000002.pt"),
    ({"at": ["truncate", 4]}, "step-00000002.pt"),  # while logs forget what is not in the weights
    ({"at": ["replace", 2]}, "step-00000002.pt"),
    ({"at": ["fsync", 9]}, "step-00000004.pt"),
]


@pytest.fixture
def children() -> Iterator[Any]:
    command = [sys.executable, "-m", killed.__name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None

        def run(folder: Path, **order: Any) -> bool:
            print(json.dumps({"folder": str(folder), **order}), file=program.stdin, flush=True)
            return json.loads(program.stdout.readline())["killed"]

        try:
            yield run
        finally:
            program.kill()


def test_killed_and_resumed_is_as_good_as_uninterrupted(tmp_path: Path, children: Any) -> None:
    torch.save(taught(), tmp_path / "taught.pt")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert not children(whole)
    for kill, newest in KILLS:
        assert children(broken, **kill), kill
        assert max((path.name for path in (broken / "checkpoints").glob("*.pt")), default="") == newest, kill
    children(broken, lines=5)  # from outside, somewhere in the last step or just after it
    assert not children(broken)

    one, other = (Checkpoints(folder / "checkpoints").latest() for folder in (whole, broken))
    assert one is not None
    assert other is not None
    assert one["taken"] == killed.STEPS
    assert one["version"] == killed.STEPS, "every step was to change the weights"
    assert differing(one, other) == []

    steps, again = ([row | {"seconds": None} for row in read_steps(f / "metrics.jsonl")] for f in (whole, broken))
    assert [row["step"] for row in again] == list(range(killed.STEPS))
    assert steps == again
    assert read_rollouts(whole / "rollouts") == read_rollouts(broken / "rollouts")
    assert sum(row["redraws"] for row in steps) > 0, "re-draws were to be part of it"


def differing(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two checkpoints differ."""
    if isinstance(one, dict):
        keys = one.keys() | other.keys()
        return [found for key in keys for found in differing(one.get(key), other.get(key), f"{path}/{key}")]
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [path]
    return [] if one == other else [path]


def test_an_oldest_checkpoint_goes_and_what_was_left_unfinished_too(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.latest() is None
    for step in (9, 10, 11):
        checkpoints.save(step, {"taken": step, "weights": torch.tensor([step])})
    (tmp_path / "step-00000012.part").write_bytes(b"half")
    again = Checkpoints(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010.pt", "step-00000011.pt"]
    found = again.latest()
    assert found is not None
    assert found["taken"] == 11
    (tmp_path / "step-00000011.pt").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"step-00000011\.pt cannot be read"):
        again.latest()


def test_a_checkpoint_of_another_run_is_refused() -> None:
    state = replaying().state_dict()
    with pytest.raises(CheckpointError, match=r"trained with seed=2, now it is 3\. Train in another folder"):
        replaying(config=dataclasses.replace(CONFIG, seed=3)).load_state_dict(state)
    replaying(config=dataclasses.replace(CONFIG, micro_batch=4)).load_state_dict(state)
    state["model"].popitem()
    with pytest.raises(CheckpointError, match="of another model"):
        replaying().load_state_dict(state)


def test_a_run_that_is_stopped_by_failures_goes_on_from_the_step_before(tmp_path: Path) -> None:
    """Though no checkpoint was due."""
    down = True

    def rule(rollout: Rollout) -> Score | Failure:
        return Failure("unavailable", "not loaded") if down and rollout.step == 2 else digits(rollout)

    stopped, resumed, whole = trainer(rule), trainer(), trainer()
    with pytest.raises(RewardsFailedError, match="not loaded"):
        stopped.run(3, tmp_path)
    assert stopped.taken == 2
    resumed.run(3, tmp_path)
    whole.run(3)
    assert (resumed.taken, resumed.policy.version) == (3, whole.policy.version)
    assert same(resumed, whole)
