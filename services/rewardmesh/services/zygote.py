"""The program isolated rewards run in: a lean process that loads the reward once and forks workers in milliseconds.

`python -m rewardmesh.services.zygote FD SPEC` speaks over the socket FD with its pool (see `workers`):

    zygote -> pool   "ready" once the reward is loaded and warm, or "failed MESSAGE"
    pool -> zygote   one byte and a file descriptor: fork a worker that serves that socket
    zygote -> pool   "forked PID", later "dead PID SIGNAL" (SIGNAL 0: it exited by itself)

When the pool closes its end, the zygote kills its workers and exits.

A worker reads rollouts and answers each with its outcome, in order, until the socket closes. A message is four bytes
of length and a `rewardmesh.v1` Rollout or Verdict. The kernel ends a worker that uses more than CPU_SECONDS for one
rollout (SIGPROF) and refuses it more than MEMORY_BYTES (MemoryError, answered as `limit_exceeded`).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time

from rewardmesh.contract.codec import encode_verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.verdict import Failure, Outcome, Verdict
from rewardmesh.rewards.base import Reward, traits
from rewardmesh.rewards.registry import load
from rewardmesh.services.judge import AUTHORS_ERRORS, judge_blocking
from rewardmesh.v1 import reward_pb2 as pb

# Real answers take milliseconds; the slowest honest ones seen took below one second.
CPU_SECONDS = 3.0
# A worker is about 60 MB; expressions that need more than this are bombs.
MEMORY_BYTES = 1 << 30
HEADER = struct.Struct("!I")


def main() -> None:
    """Runs the zygote; the arguments are the socket's file descriptor and the reward's name and options as JSON."""
    control = socket.socket(fileno=int(sys.argv[1]))
    spec = json.loads(sys.argv[2])
    try:
        reward = load(spec["name"])(**spec["options"])
        example = traits(type(reward)).example
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
                _work(socket.socket(fileno=fds[0]), reward)
                os._exit(0)
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


def _work(channel: socket.socket, reward: Reward) -> None:
    """Serves one worker's socket until it closes."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a worker never outlives its zygote
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the default action ends the process, even deep inside C
    with contextlib.suppress(OSError):  # the pool has hung up on it: a deadline passed, a call was cancelled
        _answer(channel, reward)


def _answer(channel: socket.socket, reward: Reward) -> None:
    stream = channel.makefile("rwb")
    while header := stream.read(HEADER.size):
        message = pb.Rollout.FromString(stream.read(HEADER.unpack(header)[0]))
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        outcome = _judge(reward, Envelope(message))
        signal.setitimer(signal.ITIMER_PROF, 0)
        verdict = encode_verdict(Verdict(message.id, outcome, seconds=time.perf_counter() - began))
        data = verdict.SerializeToString()
        stream.write(HEADER.pack(len(data)) + data)
        stream.flush()


def _judge(reward: Reward, envelope: Envelope) -> Outcome:
    try:
        [outcome] = judge_blocking(reward, [envelope.open()])
    except (InvalidRolloutError, InvalidReferenceError) as error:
        return Failure.from_error(error)
    return outcome


if __name__ == "__main__":
    main()
