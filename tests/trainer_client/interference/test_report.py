"""The page and the lines beside it; the watch while a run runs and after it was resumed."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.trainer_client.interference.report import EmptyRunError, write_report
from rewardmesh.trainer_client.interference.watch import Watch
from rewardmesh.trainer_client.logs.jsonl import JsonlLog
from rewardmesh.trainer_client.logs.lines import Lines, read_lines
from rewardmesh.trainer_client.training.metrics import StepMetrics, TaskMetrics
from tests.trainer_client.interference.runs import flat, ramp, rows
from tests.trainer_client.interference.test_measures import gradients

NASTY = '<b>$x_1$ & "é"</b>'
COLLAPSE = rows(90, {"math": flat(0.5), NASTY: ramp(0.2, 0.6, 60)}, lengths={"math": ramp(200.0, 20.0, 20, 40)})


def log(path: Path, steps: list[dict[str, Any]]) -> Path:
    Lines(path).append(steps)
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    steps = [dict(row) for row in COLLAPSE]
    steps[10]["gradients"] = gradients(-0.25, {"math": 1 / 3, NASTY: 1 / 3})
    alone = log(folder / "alone.jsonl", rows(90, {NASTY: ramp(0.2, 0.7, 60)}, seed=1))
    write_report(log(folder / "m.jsonl", steps), folder / "out" / "report.html", {NASTY: alone})
    return folder / "out"


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    assert NASTY not in text
    assert html.escape(NASTY) in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) == 10  # seven curves, one against alone, two of cosines
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(base64.b64decode(source.split(",")[1]).startswith(b"\x89PNG") for source in sources)
    assert "<script" not in text
    assert "url(" not in text


def test_the_page_tells_the_warning_and_its_step(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    (alarm,) = [row["alarm"] for row in read_lines(written / "report.jsonl") if row["kind"] == "alarm"]
    assert alarm["kind"] == "length collapse"
    assert f"<td>{alarm['step']} to 89</td>" in text
    assert html.escape(alarm["message"]) in text


def test_the_lines_hold_what_the_page_shows(written: Path) -> None:
    found = read_lines(written / "report.jsonl")
    assert [row["kind"] for row in found] == ["task"] * 2 + ["cosine"] * 4 + ["alarm"]
    assert found[0]["task"] == "math"
    assert found[1]["task"] == NASTY
    assert found[1]["change"]["value"] == pytest.approx(0.33, abs=0.03)
    assert found[1]["gap"]["value"] == pytest.approx(-0.1, abs=0.03)
    assert found[0]["gap"] is None
    between = found[3]
    assert between["tasks"] == ["math", NASTY]
    assert between["cosine"]["value"] == -0.25
    assert between["corrected"] == pytest.approx(-0.5)
    text = (written / "report.html").read_text(encoding="utf-8")
    assert f"{found[1]['change']['value']:+.3f}" in text


def test_a_run_without_gradients_warnings_and_comparison(tmp_path: Path) -> None:
    metrics = log(tmp_path / "m.jsonl", rows(3, {"math": flat(0.5)}))
    assert write_report(metrics, tmp_path / "r.html") == []
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "None." in text
    assert "Cosines" not in text
    assert "gap to alone" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "r.html", "r.jsonl"]


def test_a_run_in_which_nothing_was_judged(tmp_path: Path) -> None:
    steps = rows(3, {"math": flat(0.5)})
    for row in steps:
        row["tasks"]["math"]["reward"] = row["tasks"]["math"]["entropy"] = None
    write_report(log(tmp_path / "m.jsonl", steps), tmp_path / "r.html")
    assert read_lines(tmp_path / "r.jsonl")[0]["last"] is None


def test_what_cannot_be_reported_is_said(tmp_path: Path) -> None:
    metrics = log(tmp_path / "m.jsonl", rows(3, {"math": flat(0.5)}))
    with pytest.raises(EmptyRunError, match="has no steps"):
        write_report(tmp_path / "none.jsonl", tmp_path / "r.html")
    with pytest.raises(EmptyRunError, match="'counting' is not trained in both"):
        write_report(metrics, tmp_path / "r.html", {"counting": metrics})
    with pytest.raises(ValueError, match="in the place of"):
        write_report(metrics, tmp_path / "m.html")


def step_metrics(row: dict[str, Any]) -> StepMetrics:
    tasks = {name: TaskMetrics(**numbers) for name, numbers in row["tasks"].items()}
    return StepMetrics(row["step"], tasks, 1.0, {})


@pytest.mark.parametrize("to", [0, 50, 70, 88])
def test_a_watch_says_the_same_whether_or_not_the_run_was_resumed(tmp_path: Path, to: int) -> None:
    said: list[str] = []
    metrics = JsonlLog(tmp_path / "m.jsonl")
    watch = Watch(tmp_path / "alarms.jsonl", tmp_path / "m.jsonl", say=said.append)
    for row in COLLAPSE[:89]:
        metrics.step(step_metrics(row), [])
        watch.step(step_metrics(row), [])
    before = read_lines(tmp_path / "alarms.jsonl")
    assert [row["kind"] for row in before] == ["length collapse"]
    assert said == [f"step {before[0]['step']}: length collapse: math: {before[0]['message']}"]
    said.clear()
    resumed = Watch(tmp_path / "alarms.jsonl", tmp_path / "m.jsonl", say=said.append)
    resumed.rewind(to)
    for row in COLLAPSE[to:]:
        resumed.step(step_metrics(row), [])
    resumed.close()
    assert read_lines(tmp_path / "alarms.jsonl") == before
    assert len(said) == (to <= before[0]["step"])
    assert json.loads((tmp_path / "alarms.jsonl").read_text())["step"] == before[0]["step"]
