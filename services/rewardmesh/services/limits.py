"""What a worker process may use: CPU time for one rollout, and memory."""

from __future__ import annotations

import ctypes
import resource
import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from rewardmesh.contract.errors import LimitError

T = TypeVar("T")

# Real answers take milliseconds; the slowest honest ones seen took below one second.
SOFT_CPU_SECONDS = 2.0
# Python runs no signal handler while it is inside C (a power of huge integers, a regex): there the kernel ends it.
HARD_CPU_SECONDS = 3.0
# The soft limit is told again and again: an error raised inside a destructor or a callback goes no further.
_AGAIN_SECONDS = 0.1
# A worker is about 60 MB; expressions that need more than this are bombs.
MEMORY_BYTES = 1 << 30
_PR_SET_PDEATHSIG = 1


class _OverSoftLimit(BaseException):
    """Raised into whatever runs when the soft limit is reached. Not an Exception: those are caught all over sympy."""


class Limits:
    """The limits of this process, in force from here on; the CPU limits only within `within`."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a worker never outlives its zygote
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the default action ends the process, even deep inside C
        signal.signal(signal.SIGVTALRM, self._interrupt)
        self._counting = False

    def within(self, call: Callable[[], T]) -> T:
        """Calls this under the CPU limits. They are not RLIMIT_CPU, which counts the whole life of a process.

        Raises:
            LimitError: The soft limit was reached. What was interrupted may be half done: let this process end.
        """
        signal.setitimer(signal.ITIMER_PROF, HARD_CPU_SECONDS)
        signal.setitimer(signal.ITIMER_VIRTUAL, SOFT_CPU_SECONDS, _AGAIN_SECONDS)
        self._counting = True
        try:
            try:
                return call()
            finally:
                self._counting = False
        except _OverSoftLimit:
            raise LimitError(f"used more than {SOFT_CPU_SECONDS:g} s of CPU") from None
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._counting:
            raise _OverSoftLimit
