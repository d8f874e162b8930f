"""JSON lines: whole after a kill anywhere, nothing double after a rewind, no NaN."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.trainer_client.logs.jsonl import JsonlLog, read_steps
from rewardmesh.trainer_client.logs.lines import Lines, read_lines
from rewardmesh.trainer_client.logs.parquet import ParquetLog, read_rollouts
from rewardmesh.trainer_client.logs.plain import curves, plain
from tests.trainer_client.logs.steps import TEXTS, metrics, rollouts


def written(path: Path, *steps: int) -> JsonlLog:
    log = JsonlLog(path)
    for step in steps:
        log.step(metrics(step), rollouts(step))
    return log


def numbers(path: Path) -> list[int]:
    return [row["step"] for row in read_steps(path)]


def test_all_fields_come_back(tmp_path: Path) -> None:
    written(tmp_path / "runs" / "m.jsonl", 0, 1)
    rows = read_steps(tmp_path / "runs" / "m.jsonl")
    assert rows == [plain(metrics(0)), plain(metrics(1))]
    assert rows[0]["tasks"]["math"]["entropy"] == 1.25
    assert rows[0]["gradients"] is None
    assert rows[1]["gradients"]["halves"] == {"math": 0.5, "counting": None}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(tmp_path: Path, wrong: float) -> None:
    log = JsonlLog(tmp_path / "m.jsonl")
    log.step(metrics(0, reward=wrong, entropy=wrong), [])
    text = (tmp_path / "m.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert read_steps(tmp_path / "m.jsonl")[0]["tasks"]["math"]["reward"] is None
    assert "reward/math" not in curves(plain(metrics(0, reward=wrong)))


def test_a_line_of_nan_is_refused(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "lines.jsonl")
    with pytest.raises(ValueError, match="JSON compliant"):
        lines.append([{"a": 1.0}, {"a": math.nan}])
    assert read_lines(lines.path) == []


@pytest.mark.parametrize("text", TEXTS)
def test_nasty_text_comes_back_in_one_line(tmp_path: Path, text: str) -> None:
    lines = Lines(tmp_path / "lines.jsonl")
    lines.append([{text: text}])
    assert read_lines(lines.path) == [{text: text}]
    assert lines.path.read_bytes().count(b"\n") == 1


def test_a_line_cut_anywhere_is_passed_over_and_then_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rows = [{"step": 0, "text": "a"}, {"step": 1, "text": "\ud83d\n"}]
    Lines(path).append(rows)
    whole = path.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert read_lines(path) == rows[:1]
        Lines(path).append(rows[1:])
        assert path.read_bytes() == whole


@pytest.mark.parametrize(("step", "left"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2])])
def test_rewind_drops_that_step_and_all_after_it(tmp_path: Path, step: int, left: list[int]) -> None:
    path = tmp_path / "m.jsonl"
    log = written(path, 0, 1, 2)
    log.rewind(step)
    assert numbers(path) == left
    log.step(metrics(step), [])
    assert numbers(path) == [*left, step]
    log.close()


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none.jsonl") == []


def test_curves_are_named_so_that_tasks_share_a_plot() -> None:
    found = curves(plain(metrics(1)))
    assert found["reward/math"] == found["reward/counting"] == 0.5
    assert found["gradient_norm"] == 0.75
    assert found["seconds/sample"] == 0.125
    assert found["gradients/cosines/math/math"] == 1.0
    assert "gradients/halves/counting" not in found
    assert "step" not in found


_CHILD = """
import sys, itertools
from pathlib import Path
from rewardmesh.trainer_client.logs.jsonl import JsonlLog
from rewardmesh.trainer_client.logs.parquet import ParquetLog
from tests.trainer_client.logs.steps import metrics, rollouts
folder = Path(sys.argv[1])
logs = [JsonlLog(folder / "m.jsonl"), ParquetLog(folder / "rollouts", 3)]
for step in itertools.count():
    for log in logs:
        log.step(metrics(step), rollouts(step))
    print(step, flush=True)
"""


def test_what_was_told_is_there_after_sigkill(tmp_path: Path) -> None:
    """A process that writes without end is killed somewhere; the next goes on where a checkpoint would be."""
    root = str(Path(__file__).parents[3])
    child: Any = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
    with child:
        told = 0
        for line in child.stdout:
            told = int(line)
            if told >= 10:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    assert numbers(tmp_path / "m.jsonl")[: told + 1] == list(range(told + 1))
    whole = [r for r in read_rollouts(tmp_path / "rollouts") if r.step <= told]
    assert [r.step for r in whole] == [step for step in range(told + 1) for _ in TEXTS]
    log, parquet = JsonlLog(tmp_path / "m.jsonl"), ParquetLog(tmp_path / "rollouts", 3)
    for step in range(7, told + 5):
        if step == 7:
            log.rewind(step)
            parquet.rewind(step)
        log.step(metrics(step), [])
        parquet.step(metrics(step), rollouts(step))
    assert numbers(tmp_path / "m.jsonl") == list(range(told + 5))
    assert [r.step for r in read_rollouts(tmp_path / "rollouts")] == [s for s in range(told + 5) for _ in TEXTS]
    assert json.loads((tmp_path / "m.jsonl").read_text().splitlines()[-1])["step"] == told + 4
