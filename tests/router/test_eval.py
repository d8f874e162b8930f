"""`rewardmesh eval`: official metrics and mean rewards per task and source, end to end on a real engine."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.contract.verdict import Failure, Score, Verdict
from rewardmesh.router.cli.main import main
from rewardmesh.router.cli.tally import Tally

REWARDS = ("math", "grounding", "point", "temporal", "counting", "action")
CODE = "import sys; from rewardmesh.router.cli import main; sys.exit(main())"
BOX = {"type": "boxes", "boxes": [[0, 0, 100, 100]]}
BUTTON = {"type": "point", "regions": [{"box": [10, 10, 20, 20]}]}
CLIP = {"type": "segments", "segments": [[0, 10], [50, 60]], "duration": 100}
CLICK = {"type": "action", "action": "click", "region": {"box": [10, 10, 20, 20]}}
TYPE = {"type": "action", "action": "type", "text": "hello world"}
MATH = {"type": "math", "answers": ["2"]}

# task, source, reference, and a completion each.
FILE: list[tuple[str, str, Any, list[str]]] = [
    ("grounding", "refcoco", BOX, ["[0, 0, 100, 100]", "[0, 0, 100, 50]", "[0, 0, 100, 49]", "no idea"]),
    ("grounding", "refcocog", BOX, ["[0, 0, 100, 100]"]),
    ("grounding", "broken", {"type": "boxes", "boxes": [[5, 5, 1, 1]]}, ["[0, 0, 1, 1]", "nothing"]),
    ("grounding", "tokens", BOX, ["<loc0000><loc0000><loc0512><loc0512>"]),
    ("point", "screenspot", BUTTON, ["(12, 15)", "[10, 10, 20, 20]", "(30, 30)", "(15, 15) or (16, 16)"]),
    ("point", "osworld_g", {"type": "point", "regions": [], "refusal": True}, ["(-1, -1)", "(15, 15)"]),
    ("temporal", "charades_sta", CLIP, ["[00:50,01:00]", "[00:00,00:05]", "[00:00,00:25]", "[00:20,00:30]", "when?"]),
    ("counting", "countbench", {"type": "count", "count": 3}, ["3", "three", "4", "3 or 4"]),
    ("action", "gui", CLICK, ['{"action": "click", "start_point": [15, 15]}', '{"action": "tap", "point": [1, 1]}']),
    ("action", "gui", TYPE, ['{"action": "type", "text": "Hello  World"}', '{"action": "press_home"}']),
    ("math", "gsm8k", MATH, [r"\boxed{2}", r"\boxed{3}"]),
    ("poetry", "muse", None, ["roses"]),
]  # fmt: skip

METRICS = {
    ("grounding", "refcoco"): {"acc@0.5": 0.5, "miou": (1 + 0.5 + 0.49) / 4},
    ("grounding", "refcocog"): {"acc@0.5": 1.0, "miou": 1.0},
    ("grounding", "broken"): {},
    ("grounding", "tokens"): {},
    ("point", "screenspot"): {"accuracy": 0.5},
    ("point", "osworld_g"): {"accuracy": 0.5},
    ("temporal", "charades_sta"): {"r1@0.3": 0.6, "r1@0.5": 0.4, "r1@0.7": 0.2, "miou": (1 + 0.5 + 0.4) / 5},
    ("counting", "countbench"): {"accuracy": 0.5},
    ("action", "gui"): {"type_accuracy": 0.75, "step_success": 0.5},
    ("math", "gsm8k"): {"accuracy": 0.5},
    ("poetry", "muse"): {},
}
FAILURES = {
    ("grounding", "broken"): {"invalid_reference": 2},
    ("grounding", "tokens"): {"space_undeclared": 1},
    ("poetry", "muse"): {"unknown_reward": 1},
}
# None of these changes what is measured.
OPTIONS = {
    "grounding": {"scorer": "threshold", "threshold": 0.9, "whole_penalty": 1},
    "point": {"shaping": "gaussian"},
    "temporal": {"mode": "f1", "whole_penalty": 1},
    "action": {"weights": {"type": 0.5}, "text_f1": 0.3},
}


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval") / "rollouts.jsonl"
    rows = [
        {"id": f"{task}-{i}-{j}", "task": task, "source": source, "completion": completion, "reference": reference}
        for i, (task, source, reference, completions) in enumerate(FILE)
        for j, completion in enumerate(completions)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{bad\n")
    return path


def mesh(path: Path, options: dict[str, Any], names: tuple[str, ...] = REWARDS) -> str:
    path.write_text(json.dumps({"rewards": {name: {"options": options.get(name, {})} for name in names}}))
    return str(path)


def by_source(answer: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["task"], row["source"]): row for row in answer["sources"]}


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["defaults", "other scorers"])
def test_official_metrics_whatever_the_scorer(
    rollouts: Path, tmp_path: Path, options: dict[str, Any], capfdbinary: Any
) -> None:
    assert main(["eval", str(rollouts), "--json", "--config", mesh(tmp_path / "mesh.json", options)]) == 0
    out, err = capfdbinary.readouterr()
    assert err == b""
    answer = json.loads(out)
    rows = by_source(answer)
    assert rows.keys() == METRICS.keys() | {("", "")}
    for place, metrics in METRICS.items():
        assert rows[place]["metrics"] == pytest.approx(metrics), place
        assert rows[place]["failures"] == FAILURES.get(place, {})
    assert rows["", ""] | {"task": "", "source": ""} == {
        "task": "", "source": "", "rollouts": 1, "scored": 0, "failures": {"invalid_rollout": 1}, "reasons": {},
        "mean_reward": None, "metrics": {},
    }  # fmt: skip
    (grounding,) = [row for row in answer["tasks"] if row["task"] == "grounding"]
    assert (grounding["rollouts"], grounding["scored"]) == (8, 5)
    assert grounding["metrics"]["acc@0.5"] == pytest.approx(3 / 5)


def test_failures_are_no_zeros(rollouts: Path, tmp_path: Path, capfdbinary: Any) -> None:
    assert main(["eval", str(rollouts), "--json", "--config", mesh(tmp_path / "mesh.json", {})]) == 0
    answer = json.loads(capfdbinary.readouterr().out)
    rows = by_source(answer)
    assert rows["grounding", "broken"]["mean_reward"] is None
    assert rows["counting", "countbench"]["mean_reward"] == 0.5
    (grounding,) = [row for row in answer["tasks"] if row["task"] == "grounding"]
    one, other = rows["grounding", "refcoco"], rows["grounding", "refcocog"]
    assert grounding["mean_reward"] == pytest.approx((4 * one["mean_reward"] + other["mean_reward"]) / 5)


def test_the_table_has_a_row_per_task_and_source(rollouts: Path, tmp_path: Path, capfdbinary: Any) -> None:
    assert main(["eval", str(rollouts), "--config", mesh(tmp_path / "mesh.json", {})]) == 0
    head, *lines = capfdbinary.readouterr().out.decode().splitlines()
    assert head.split() == ["task", "source", "rollouts", "scored", "reward", "metrics", "failures"]
    cells = {tuple(line.split()[:2]): line for line in lines}
    assert len(cells) == len(METRICS) + 3  # a line that is no rollout, all of grounding and all of point
    assert "r1@0.3 0.6000, r1@0.5 0.4000, r1@0.7 0.2000, miou 0.3800" in cells["temporal", "charades_sta"]
    assert cells["grounding", "broken"].split()[2:] == ["2", "0", "-", "-", "invalid_reference", "2"]
    assert cells["grounding", "(all)"].split()[2:4] == ["8", "5"]
    assert cells["-", "-"].endswith("invalid_rollout 1")


async def test_a_router_is_asked_the_same(tmp_path: Path, router: Any) -> None:
    path = tmp_path / "rollouts.jsonl"
    row = {"id": "a", "completion": "3", "source": "zoo", "reference": {"type": "count", "count": 3}}
    path.write_text(json.dumps(row))
    command = [sys.executable, "-c", CODE, "eval", str(path), "--json", "--target", str(router.address)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    (found,) = json.loads(out)["sources"]
    assert (found["task"], found["source"], found["mean_reward"]) == ("counting", "zoo", 1.0)


def test_an_empty_file_is_no_error(tmp_path: Path, capfdbinary: Any) -> None:
    config = mesh(tmp_path / "mesh.json", {}, ("counting",))
    assert main(["eval", "/dev/null", "--json", "--config", config]) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"tasks": [], "sources": []}
    assert main(["eval", "/dev/null", "--config", config]) == 0
    assert capfdbinary.readouterr().out.count(b"\n") == 1


def test_exit_codes_are_those_of_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "no/such/file"]) == 1
    assert capsys.readouterr().err == "rewardmesh: no/such/file: No such file or directory\n"
    with pytest.raises(SystemExit) as caught:
        main(["eval", "-", "--target", "x:1", "--config", "mesh.yaml"])
    assert caught.value.code == 2


def test_a_metric_that_a_reward_does_not_report_is_unknown_and_not_zero() -> None:
    tally = Tally("grounding")
    for outcome in (Score(0.0, "no_answer"), Score(0.7, "ok"), Score(0.7, "ok", components={"iou": 0.4})):
        tally.add(Verdict("r", outcome, "grounding"))
    tally.add(Verdict("r", Failure("timeout", "late"), "grounding"))
    row = tally.to_json()
    assert row["metrics"] == {"acc@0.5": None, "miou": None}
    assert (row["rollouts"], row["scored"], row["failures"]) == (4, 3, {"timeout": 1})
    assert row["mean_reward"] == pytest.approx(1.4 / 3)
