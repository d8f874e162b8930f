"""The program isolated rewards run in: a lean process that loads the reward once and forks workers in milliseconds.

`python -m rewardmesh.services.zygote FD SPEC` speaks over the socket FD with its pool (see `nursery`):

    zygote -> pool   "ready" once the reward is loaded and warm, or "failed MESSAGE"
    pool -> zygote   one byte and a file descriptor: fork a worker that serves that socket (see `worker`)
    zygote -> pool   "forked PID", later "dead PID SIGNAL" (SIGNAL 0: it exited by itself)

When the pool closes its end, the zygote kills its workers and exits.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import NoReturn

from rewardmesh.rewards.base import Reward, traits
from rewardmesh.rewards.construct import construct
from rewardmesh.rewards.registry import load
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.judge import AUTHORS_ERRORS, judge_blocking
from rewardmesh.services.worker import serve


def main() -> None:
    """Runs the zygote; the arguments are the socket's file descriptor and the reward's `RewardSpec` as JSON."""
    control = socket.socket(fileno=int(sys.argv[1]))
    spec = RewardSpec(**json.loads(sys.argv[2]))
    try:
        kind = load(spec.name)
        reward = construct(kind, spec.options, spec.sources, spec.thinking)
        example = traits(kind).example
        if example is not None:
            judge_blocking(reward, [example])  # fills caches that every worker then shares
    except AUTHORS_ERRORS as error:  # reported to the pool, which lists the reward as not ready
        _tell(control, f"failed {type(error).__name__}: {error}")
        return
    gc.collect()
    gc.freeze()  # keeps the collector from copying the pages that forked workers share
    _tell(control, "ready")
    _fork_on_demand(control, reward)


def _fork_on_demand(control: socket.socket, reward: Reward) -> None:
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    workers: set[int] = set()
    while True:
        readable, _, _ = select.select([control, wake_read], [], [])
        if wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
            for pid, number in _reap():
                workers.discard(pid)
                _tell(control, f"dead {pid} {number}")
        if control in readable:
            try:
                data, fds, _, _ = socket.recv_fds(control, 1, 1)
            except ConnectionResetError:  # the pool hung up before it had read all it was told
                break
            if not data:
                break
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                _work(fds[0], reward)
            os.close(fds[0])
            workers.add(pid)
            _tell(control, f"forked {pid}")
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _reap() -> list[tuple[int, int]]:
    """Ended workers: pid and the signal that ended each, 0 for none."""
    ended: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0))
    return ended


def _tell(control: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # the pool is gone; the next read says so too
        control.sendall(line.replace("\n", " ").encode(errors="replace") + b"\n")


def _work(fd: int, reward: Reward) -> NoReturn:
    """The rest of a forked worker's life. Never returns into the zygote's own code, whatever goes wrong."""
    status = 1
    try:
        with contextlib.suppress(OSError):  # the pool has hung up: a deadline passed, a call was cancelled
            serve(socket.socket(fileno=fd), reward)
        status = 0
    except BaseException:  # noqa: BLE001 - a defect of ours: the pool sees a worker that ended over a rollout
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
