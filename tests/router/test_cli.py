"""The `rewardmesh` command: JSON lines in, JSON lines out, and one line on stderr when something is wrong."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.router.cli import lines
from rewardmesh.router.cli.main import main

CODE = "import sys; from rewardmesh.router.cli import main; sys.exit(main())"
COUNT = {"type": "count", "count": 3}

# One line each, and what becomes of it: id, then the value of the score or the kind of the failure.
BAD_INPUT: list[tuple[str | bytes, str, float | str]] = [
    (json.dumps({"id": "good", "completion": "3", "reference": COUNT}), "good", 1.0),
    ("{bad", "line-2", "invalid_rollout"),
    ("", "", ""),  # blank: skipped, but counted
    (json.dumps({"id": "silent", "reference": COUNT}), "silent", "invalid_rollout"),
    (json.dumps({"completion": "3"}), "line-5", "invalid_rollout"),
    (json.dumps({"id": 7, "completion": "3"}), "line-6", "invalid_rollout"),
    (json.dumps({"id": "\ud800", "completion": "3"}), "line-7", "invalid_rollout"),
    (json.dumps([1]), "line-8", "invalid_rollout"),
    (b"\xff\xfe", "line-9", "invalid_rollout"),
    ("[" * 100_000, "line-10", "invalid_rollout"),
    (json.dumps({"id": "extra", "completion": "3", "score": 1}), "extra", "invalid_rollout"),
    (
        json.dumps({"id": "ref", "completion": "3", "reference": {"type": "count", "count": "x"}}),
        "ref",
        "invalid_reference",
    ),
    (json.dumps({"id": "task", "completion": "3", "task": "poetry"}), "task", "unknown_reward"),
    (json.dumps({"id": "source", "completion": "3", "source": "new"}), "source", "unclassified"),
    (json.dumps({"id": "long", "completion": "3" * (5 * 2**20), "reference": COUNT}), "long", "too_large"),
    (json.dumps({"id": "good", "completion": "4", "reference": COUNT}), "good", 0.0),  # an id may come again
    (json.dumps({"id": "字", "completion": "三", "reference": COUNT}, ensure_ascii=False), "字", 1.0),
]


@pytest.fixture
def bad_input(tmp_path: Path) -> Path:
    path = tmp_path / "rollouts.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line, _, _ in BAD_INPUT))
    return path


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "mesh.yaml"
    path.write_text("rewards: {counting: {}}\nsources: {zoo: counting}")
    return str(path)


def answers(output: bytes) -> list[tuple[str, float | str]]:
    rows = [json.loads(line) for line in output.decode().splitlines()]
    return [(row["id"], row["score"]["value"] if "score" in row else row["failure"]["kind"]) for row in rows]


EXPECTED = [(id, outcome) for _, id, outcome in BAD_INPUT if id]


def test_every_line_is_answered_in_order(bad_input: Path, config: str, capfdbinary: Any) -> None:
    assert main(["score", str(bad_input), "--config", config]) == 0
    out, err = capfdbinary.readouterr()
    assert answers(out) == EXPECTED
    assert err == b""


async def test_a_router_answers_the_same(bad_input: Path, router: Any) -> None:
    command = [sys.executable, "-c", CODE, "score", "-", "--target", str(router.address)]
    with bad_input.open("rb") as stdin:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
    assert err == b""
    assert process.returncode == 0
    assert answers(out) == EXPECTED


def test_batches_are_bounded_and_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BATCH_LINES", 3)
    monkeypatch.setattr(lines, "BATCH_BYTES", 1000)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2000)

    def row(id: str, size: int = 1) -> bytes:
        return json.dumps({"id": id, "completion": "x" * size}).encode()

    rows = [row("a"), row("b"), row("c"), row("d", 300), row("e", 900), row("f", 3000), row("g"), row("g"), b"{", b"{"]
    found = list(lines.batches(io.BytesIO(b"\n".join(rows))))
    assert [[item.id for item in batch.items] for batch in found] == [
        ["a", "b", "c"],  # full by count
        ["d"],  # the next would make it too large
        ["e", "line-6", "g"],  # an over-long line costs no memory; ends before an id it has
        ["g", "line-9", "line-10"],
    ]
    failure = found[2].items[1]
    assert getattr(failure, "failure").kind == "too_large"  # noqa: B009 - a Rollout has none


def test_a_line_as_long_as_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    row = json.dumps({"id": "a", "completion": "x"}).encode() + b"\n"
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", len(row))
    assert [item.id for batch in lines.batches(io.BytesIO(row * 2)) for item in batch.items] == ["a", "a"]
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", len(row) - 1)
    assert [item.id for batch in lines.batches(io.BytesIO(row * 2)) for item in batch.items] == ["line-1", "line-2"]


def test_classify_says_why_and_starts_nothing(bad_input: Path, config: str, capfdbinary: Any) -> None:
    assert main(["classify", str(bad_input), "--config", config]) == 0
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [id for id, _ in EXPECTED]
    assert rows[0] == {"id": "good", "task": "counting", "reward": "counting", "why": "a reference of type 'count'"}
    assert rows[1]["failure"]["kind"] == "invalid_rollout"


def test_rewards_lists_what_is_installed(capfdbinary: Any) -> None:
    assert main(["rewards"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capfdbinary.readouterr().out.splitlines())}
    assert rows["counting"]["tasks"] == ["counting"]
    assert rows["counting"]["digest"]
    assert "no_such_module" in rows["unloadable"]["detail"]


async def test_rewards_lists_what_a_router_serves(router: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CODE, "rewards", "--target", str(router.address), stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert rows["counting"]["ready"] is True
    assert rows["unloadable"]["ready"] is False


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["score", "no/such/file"], "no/such/file: No such file or directory"),
        (["score", "no\nfile"], "no file: No such file or directory"),
        (["classify", "no/such/file"], "no/such/file: No such file or directory"),
        (["score", "-", "--config", "no/such.yaml"], "no/such.yaml: No such file or directory"),
        (["up", "--config", "/dev/stdin/x"], "/dev/stdin/x"),
        (["score", "/dev/null", "--target", "127.0.0.1:9"], "no router answered"),
        (
            ["rewards", "--target", "127.0.0.1:9"],
            "no router answered: 127.0.0.1:9: not reached within 0.2 s: failed to connect",
        ),
        (["rewards", "--target", "127.0.0.1:9"], "Connection refused"),
    ],
)
def test_runtime_errors_are_one_line(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rewardmesh.router.cli.remote.CONNECT_SECONDS", 0.2)
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rewardmesh: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize("name", ["REWARDMESH_LISTENS", "REWARDMESH_LIMITS__ROLLOUTS"])
def test_a_wrong_override_is_one_line(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "many")
    assert main(["classify", "/dev/null"]) == 1
    err = capsys.readouterr().err
    assert name in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["scor"],
        ["score"],
        ["score", "-", "--engine", "spark"],
        ["score", "-", "--engine", "local", "--target", "x:1"],
        ["score", "-", "--target", ""],
        ["score", "-", "--target", "x:1", "--config", "mesh.yaml"],
        ["rewards", "--target", "localhost"],
        ["rewards", "--target", "http://localhost:50051"],
        ["rewards", "--target", "x:1", "--config", "mesh.yaml"],
        ["rm", "train", "--demo"],
        ["up", "extra"],
    ],
)
def test_wrong_usage_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: rewardmesh" in capsys.readouterr().err


def test_a_missing_package_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in list(sys.modules):
        if module.startswith(("rewardmesh.router.cli.classify", "rewardmesh.router.settings", "yaml")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert main(["classify", "/dev/null"]) == 1
    assert "pip install 'rewardmesh[server]'" in capsys.readouterr().err


def test_models_load_without_progress_bars() -> None:
    shown = "from transformers.utils.logging import is_progress_bar_enabled as on; print('bars' if on() else 'no bars')"
    code = f"from rewardmesh.router.cli import main; main(['classify', '/dev/null']); {shown}"
    environ = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_PROGRESS_BARS"}
    ended = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert ended.stdout == "no bars\n"


@pytest.mark.parametrize("command", ["", "up", "score", "eval", "classify", "rewards", "rm", "rm train"])
def test_help_says_what_each_command_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith(f"usage: rewardmesh {command}".rstrip())
    assert rest.split("\n")[0].endswith("."), "a sentence after the usage"


@pytest.mark.parametrize("count", [1, 9999])  # the first fails when it flushes, the other already when it writes
def test_a_reader_that_has_left_ends_it_quietly(tmp_path: Path, config: str, count: int) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(f'{{"id": "{i}", "completion": "3", "source": "zoo"}}\n' for i in range(count)))
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", CODE, "classify", str(path), "--config", config]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")
