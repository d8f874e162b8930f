"""The `rewardmesh-train` command: what is wrong is said in one line, without a traceback, and soon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.contract import UnavailableError
from rewardmesh.trainer_client.cli import main
from rewardmesh.trainer_client.demo import show as show_module
from rewardmesh.trainer_client.demo.mesh import MeshError
from rewardmesh.trainer_client.demo.mixed_batch import BATCH
from rewardmesh.trainer_client.logs.lines import Lines
from rewardmesh.trainer_client.rollout import RewardsFailedError
from rewardmesh.trainer_client.sync import SyncRewardClient
from rewardmesh.trainer_client.training.descent import GradientError
from rewardmesh.trainer_client.training.preflight import PreflightError
from tests.trainer_client.interference.runs import flat, ramp, rows


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: command"),
        (["demo", "--target", "foo"], "argument --target: target must be HOST:PORT, got 'foo'"),
        (["demo", "--target", "http://localhost:1"], "argument --target: target must be HOST:PORT"),
        (["demo", "--steps", "x"], "argument --steps: must be a whole number, 0 or more, got 'x'"),
        (["demo", "--steps", "-1"], "argument --steps: must be a whole number, 0 or more, got '-1'"),
        (["demo", "--steps", "1.5"], "argument --steps: must be a whole number, 0 or more, got '1.5'"),
        (["demo", "--target", "x:1", "--config", "mesh.yaml"], "not allowed with argument"),
        (["report", "run", "--standalone", "math"], "argument --standalone: must be TASK=RUN, got 'math'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_expected(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert says in err.splitlines()[-1]


@pytest.mark.parametrize("error", [MeshError, PreflightError, RewardsFailedError, GradientError, UnavailableError])
def test_what_stops_the_demo_is_one_line(
    error: type[Exception], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(*_: object, **__: object) -> None:
        raise error("it is broken")

    monkeypatch.setattr(show_module, "show", show)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "rewardmesh-train: it is broken\n"


def test_a_router_that_is_not_there_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_module, "CONNECT_SECONDS", 0.2)
    assert main(["demo", "--target", "127.0.0.1:1"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rewardmesh-train: 127.0.0.1:1: not reached within 0.2 s: ")
    assert err.count("\n") == 1


async def test_a_router_that_dies_ends_the_demo(
    server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_module, "SyncRewardClient", partial(SyncRewardClient, timeout=1.0))
    monkeypatch.setattr(show_module, "CONNECT_SECONDS", 30.0)  # importing torch may hold the server up
    monkeypatch.setattr(show_module, "REPEATS", 1_000_000)
    demo = asyncio.create_task(asyncio.to_thread(main, ["demo", "--target", server.target]))
    await server.until(lambda: len(server.requests) > 2)
    await server.stop()
    assert await demo == 1
    err = capsys.readouterr().err
    assert err.startswith(f"rewardmesh-train: all {len(BATCH)} rewards failed; the first: ")
    assert "unavailable" in err
    assert err.count("\n") == 1


def test_a_report_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = rows(90, {"math": flat(0.5)}, lengths={"math": ramp(200.0, 20.0, 20, 40)})
    Lines(tmp_path / "run" / "metrics.jsonl").append(steps)
    Lines(tmp_path / "alone" / "metrics.jsonl").append(rows(90, {"math": flat(0.6)}))
    assert main(["report", str(tmp_path / "run"), "--standalone", f"math={tmp_path / 'alone'}"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "length collapse: math: answers are" in out[0]
    assert out[-1] == f"{tmp_path / 'run' / 'report.html'} and report.jsonl: 1 warnings"
    assert "gap to the run on it alone" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["report", "nowhere"], f"{Path('nowhere/metrics.jsonl')} has no steps"),
        (["report", "nowhere", "--out", "nowhere/metrics.html"], "choose another name"),
    ],
)
def test_a_run_that_cannot_be_reported_on_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_the_command_line_works_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from rewardmesh.trainer_client.cli import main; sys.exit(main({}))"
    helped = subprocess.run(
        [sys.executable, "-c", code.format(["demo", "--help"])], check=False, capture_output=True, text=True
    )
    assert helped.returncode == 0
    assert "--target HOST:PORT" in helped.stdout
    refused = subprocess.run([sys.executable, "-c", code.format(["demo"])], check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "pip install 'rewardmesh[train]'" in refused.stderr
