"""The mesh that the demo starts, when it is told to stop before it listens. `rewardmesh` is a script of ours here."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rewardmesh.trainer_client.demo import mesh as mesh_module
from rewardmesh.trainer_client.demo.mesh import MeshError, mesh

CODE = """
import signal, sys
from rewardmesh.trainer_client.demo import mesh
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started these tests may have it ignored
mesh._rewardmesh = lambda: sys.argv[1]
with mesh.mesh(None):
    print("listens")
"""


def script(tmp_path: Path, up: str) -> str:
    """A `rewardmesh` whose `rm train` does nothing and whose `up` does this."""
    path = tmp_path / "rewardmesh"
    path.write_text(f'#!/bin/sh\n[ "$1" = up ] || exit 0\n{up}\n')
    path.chmod(0o755)
    return str(path)


def test_ctrl_c_while_it_starts_ends_it_at_once(tmp_path: Path) -> None:
    slow = script(tmp_path, "echo starting; exec sleep 1000")
    with subprocess.Popen([sys.executable, "-c", CODE, slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        try:
            assert demo.stdout is not None
            while (line := demo.stdout.readline()) != b"starting\n":
                assert line
            demo.send_signal(signal.SIGINT)
            out, err = demo.communicate(timeout=20)
        finally:
            demo.kill()
    assert (out, demo.returncode) == (b"", -signal.SIGINT)
    assert b"KeyboardInterrupt" in err


def test_a_router_that_does_not_start_is_an_error_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = script(tmp_path, "echo no port >&2; exit 3")
    monkeypatch.setattr(mesh_module, "_rewardmesh", lambda: broken)
    with pytest.raises(MeshError, match=r"the router did not start \(exit code 3\): no port"), mesh(None):
        raise AssertionError("it listens")


def test_a_router_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = script(tmp_path, "exec sleep 1000")
    monkeypatch.setattr(mesh_module, "_rewardmesh", lambda: slow)
    monkeypatch.setattr(mesh_module, "START_SECONDS", 0.2)
    with pytest.raises(MeshError, match=rf"exit code {-signal.SIGTERM}"), mesh(None):
        raise AssertionError("it listens")
