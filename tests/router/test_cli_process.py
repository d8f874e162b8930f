"""The `rewardmesh` command as a process: its streams, Ctrl-C, and what it imports."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

CODE = "import sys; from rewardmesh.router.cli import main; sys.exit(main())"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "mesh.yaml"
    path.write_text("rewards: {counting: {}}\nsources: {zoo: counting}")
    return str(path)


def test_ray_is_silent_beside_the_verdicts(config: str) -> None:
    command = [sys.executable, "-c", CODE, "score", "-", "--engine", "serve", "--config", config]
    line = b'{"id": "a", "completion": "3", "reference": {"type": "count", "count": 3}}'
    ended = subprocess.run(command, input=line, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["score"]["value"] == 1.0


@pytest.mark.parametrize("file", ["-", "/dev/stdin"])
def test_ctrl_c_is_heard_while_it_waits_for_a_line(config: str, file: str) -> None:
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # it may be ignored here
    command = [sys.executable, "-c", heard + CODE, "score", file, "--config", config]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b'{"id": "a", "completion": "3", "source": "zoo"}\n' * 2)  # an id that comes again
            process.stdin.flush()  # ends a batch: its first line is answered while it waits for a third
            assert process.stdout.readline()
            time.sleep(0.5)  # until it does wait
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("redirected", "code", "says"),
    [
        ("<&-", 1, "rewardmesh: stdin is closed: "),
        (">&-", 1, "rewardmesh: stdout is closed: "),
        ("<&- >&-", 1, "rewardmesh: stdout is closed: "),
        ("</dev/null >&-", 1, "rewardmesh: stdout is closed: "),
        ("</dev/null 2>&-", 0, ""),
        ("<&- 2>&-", 1, ""),
    ],
)
def test_what_is_closed_is_one_line(config: str, redirected: str, code: int, says: str) -> None:
    command = [sys.executable, "-c", CODE, "score", "-", "--config", config]
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh"]
    ended = subprocess.run([*shell, *command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (code, "", 1 if says else 0)
    assert says in ended.stderr


BARE = """
import sys
allowed = {"grpc", "google", "typing_extensions", "rewardmesh"}
class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Bare())
"""


@pytest.mark.parametrize("command", [["rewards"], ["score", "-"]])
async def test_asking_a_router_needs_no_extra(router: Any, command: list[str]) -> None:
    """Nothing may be imported but the standard library, and what a bare installation brings."""
    program = [sys.executable, "-c", BARE + CODE, *command, "--target", str(router.address)]
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate(b'{"id": "a", "completion": "3", "source": "zoo"}\n')
    assert (process.returncode, err) == (0, b"")
    assert out
