"""TensorBoard, read back with its own reader; the progress bar; wandb where it is not installed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rewardmesh.trainer_client.logs.folder import open_logs
from rewardmesh.trainer_client.logs.jsonl import read_steps
from rewardmesh.trainer_client.logs.parquet import read_rollouts
from rewardmesh.trainer_client.logs.progress import ProgressBar
from rewardmesh.trainer_client.logs.tensorboard import TensorBoardLog
from rewardmesh.trainer_client.logs.wandb import WandbLog
from tests.trainer_client.logs.steps import TEXTS, metrics, rollouts


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return [(event.step, event.value) for event in reader.Scalars(name)]


def test_tensorboard_reads_every_step_while_the_log_is_open(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path)
    log.step(metrics(0, reward=0.25), rollouts(0))
    log.step(metrics(1, reward=0.75), rollouts(1))
    assert curve(tmp_path, "reward/math") == [(0, 0.25), (1, 0.75)]
    assert curve(tmp_path, "gradients/norms/math") == [(1, 2.0)]
    log.close()


@pytest.mark.parametrize(("to", "reopened"), [(0, False), (1, True), (2, False), (2, True)])
def test_tensorboard_forgets_what_was_rewound(tmp_path: Path, to: int, reopened: bool) -> None:
    log = TensorBoardLog(tmp_path)
    for step in range(4):
        log.step(metrics(step, reward=0.0), [])
    if reopened:
        log = TensorBoardLog(tmp_path)
    log.rewind(to)
    for step in range(to, 5):
        log.step(metrics(step, reward=1.0), [])
    log.close()
    assert curve(tmp_path, "reward/math") == [(s, float(s >= to)) for s in range(5)]


def test_tensorboard_has_no_point_where_there_is_no_number(tmp_path: Path) -> None:
    log = TensorBoardLog(tmp_path)
    log.step(metrics(0, reward=None), [])
    log.step(metrics(1, reward=1.0), [])
    log.close()
    assert curve(tmp_path, "reward/math") == [(1, 1.0)]


def test_the_bar_shows_how_far_and_each_tasks_reward() -> None:
    screen = io.StringIO()
    bar = ProgressBar(4, screen)
    bar.step(metrics(0, reward=0.5), [])
    bar.step(metrics(1, reward=None), [])
    bar.close()
    last = screen.getvalue().split("\r")[-1]
    assert "2/4" in last
    assert "math=0.50" in last
    assert "counting=0.50" in last
    assert "failed=2" in last


def test_the_bar_goes_on_after_a_resume() -> None:
    screen = io.StringIO()
    bar = ProgressBar(9, screen)
    bar.rewind(7)
    bar.step(metrics(7), [])
    bar.close()
    assert "8/9" in screen.getvalue().split("\r")[-1]


def test_wandb_that_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ModuleNotFoundError, match="wandb"):
        WandbLog("project", "run", tmp_path)


def test_wandb_is_asked_to_go_on_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in: wandb itself is no dependency of ours."""
    said: list[Any] = []

    class Wandb:
        def init(self, **options: Any) -> Wandb:
            said.append(options)
            return self

        def log(self, row: dict[str, float], step: int) -> None:
            said.append((step, row["reward/math"]))

        def finish(self) -> None:
            said.append("finish")

    monkeypatch.setitem(sys.modules, "wandb", Wandb())
    log = WandbLog("project", "run", tmp_path / "w", mode="offline")
    log.rewind(3)
    log.step(metrics(3), [])
    log.close()
    folder = str(tmp_path / "w")
    first = {"project": "project", "id": "run", "dir": folder, "resume": "allow", "mode": "offline"}
    assert said == [first, (3, 0.5), "finish"]


def test_a_runs_folder_holds_all_of_them(tmp_path: Path) -> None:
    logs = open_logs(tmp_path)
    for log in logs:
        log.step(metrics(0), rollouts(0))
        log.rewind(0)
        log.step(metrics(0), rollouts(0))
        log.close()
    assert [row["step"] for row in read_steps(tmp_path / "metrics.jsonl")] == [0]
    assert len(read_rollouts(tmp_path / "rollouts")) == len(TEXTS)
    assert curve(tmp_path / "tensorboard", "reward/math") == [(0, 0.5)]
