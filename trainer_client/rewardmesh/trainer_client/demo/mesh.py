"""Starts a whole mesh for the demo, as a person would from two terminals, and stops it again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

# Ray and seven rewards take 30 s on two idle cores; a busy machine several times that.
START_SECONDS = 240.0
# `rewardmesh up` drains for 10 s at most and then stops Ray.
STOP_SECONDS = 60.0


class MeshError(RuntimeError):
    """The mesh did not start; the message ends with its own words."""


@contextmanager
def mesh(config: Path | None) -> Generator[str]:
    """A router with Ray Serve deployments behind it, and a freshly trained demo reward model; yields its HOST:PORT.

    Args:
        config: mesh.yaml, or None for the router's defaults.

    Raises:
        MeshError: The reward model could not be trained, or the router did not come up.
    """
    with tempfile.TemporaryDirectory(prefix="rewardmesh-demo-") as folder:
        checkpoint = Path(folder) / "reward-model"
        _train_reward_model(checkpoint)
        environment = {
            "REWARDMESH_LISTEN": "127.0.0.1:0",
            "REWARDMESH_METRICS": "127.0.0.1:0",
            "REWARDMESH_REWARDS__PREFERENCE__OPTIONS__CHECKPOINT": str(checkpoint),
        }
        with (Path(folder) / "router.log").open("w+") as log:
            command = [_rewardmesh(), "up", "--engine", "serve", *(["--config", str(config)] if config else [])]
            router = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | environment
            )
            try:
                yield _wait_until_it_listens(router, log.name)
            finally:
                _stop(router)


def _rewardmesh() -> str:
    """The server's console script, beside this environment's Python."""
    script = Path(sys.executable).with_name("rewardmesh")
    if not script.exists():
        raise MeshError(f"{script} is not installed; pip install 'rewardmesh[server,rm,train]'")
    return str(script)


def _train_reward_model(out: Path) -> None:
    print("training a toy reward model for the preference reward", flush=True)  # noqa: T201 - the demo talks to a person
    done = subprocess.run(
        [_rewardmesh(), "rm", "train", "--demo", "text", "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MeshError(f"training the demo reward model failed: {done.stderr[-2000:]}")


def _wait_until_it_listens(router: subprocess.Popen[str], log: str) -> str:
    """Passes the router's words on until it says where it listens. The last line of its banner is its last reward."""
    assert router.stdout is not None
    print("starting the router and Ray Serve", flush=True)  # noqa: T201 - as above
    overdue = threading.Timer(START_SECONDS, router.terminate)
    overdue.daemon = True
    overdue.start()
    target = ""
    try:
        for line in router.stdout:
            print(line, end="", flush=True)  # noqa: T201 - as above
            if " listens on " in line:
                target = line.rsplit(" ", 1)[1].strip()
                break
    finally:  # Ctrl-C, say
        overdue.cancel()
    if not target:
        router.wait()
        raise MeshError(f"the router did not start (exit code {router.returncode}): {Path(log).read_text()[-2000:]}")
    # The rest of the banner and the words of its end; a full pipe must not stop it.
    threading.Thread(target=_pass_on, args=(router.stdout,), daemon=True).start()
    return target


def _pass_on(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, end="", flush=True)  # noqa: T201 - as above


def _stop(router: subprocess.Popen[str]) -> None:
    router.terminate()
    try:
        router.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        router.kill()
        router.wait()
