"""The two sides of the math benchmark, each alone in a child process with limits, judging group by group."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import resource
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol

# What the services give a worker for one rollout.
_OURS_CPU_SECONDS = 3.0
_OURS_MEMORY = 1 << 30
# math-verify has its own alarm, and is stopped only when that does not work.
_ALARM_SECONDS = 5
_BASELINE_CPU_SECONDS = 60.0
_BASELINE_MEMORY = 4 << 30
# Warms both sides alike: it goes all the way to sympy.
_EXAMPLE = (r"2\pi r^2", r"So the area is \boxed{r^2 \cdot 2\pi}.")


class Judged(NamedTuple):
    """What a side says of one completion.

    Attributes:
        right: Its verdict; None for a failure, also when a limit ended the process.
        reason: Why, in its own words.
        cpu: CPU seconds it took; of a group that is scored as one batch, its share.
    """

    right: bool | None
    reason: str
    cpu: float


Lines = Sequence[tuple[str, str]]  # reference and completion


class Judge(Protocol):
    """Judges the completions of one group."""

    def __call__(self, lines: Lines) -> list[Judged]:
        """One for each line, in order."""
        ...


class Side:
    """A child process that judges, replaced when a limit ends it."""

    def __init__(self, ours: bool) -> None:
        self._ours = ours
        self._start()

    def judge(self, groups: Sequence[Lines]) -> list[list[Judged]]:
        """Judges groups, each as one batch; a completion that ends the process costs the others nothing."""
        try:
            self._pipe.send(groups)
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            self.close()
            self._start()
        if len(groups) > 1:
            return [self.judge([group])[0] for group in groups]
        [lines] = groups
        if len(lines) > 1:
            return [[self.judge([[line]])[0][0] for line in lines]]
        return [[Judged(None, "killed", _OURS_CPU_SECONDS if self._ours else _BASELINE_CPU_SECONDS)]]

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # neither side may see what the other has loaded or changed
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, self._ours), daemon=True)
        self._process.start()
        far.close()
        self._pipe.recv()  # ready


def _serve(pipe: Connection, ours: bool) -> None:
    judge = _ours() if ours else _math_verify()
    judge([_EXAMPLE])
    gc.collect()
    gc.freeze()
    seconds, memory = (_OURS_CPU_SECONDS, _OURS_MEMORY) if ours else (_BASELINE_CPU_SECONDS, _BASELINE_MEMORY)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send(None)
    while True:
        try:
            groups = pipe.recv()
        except EOFError:
            return
        judged: list[list[Judged]] = []
        for lines in groups:
            signal.setitimer(signal.ITIMER_PROF, seconds * len(lines))
            judged.append(judge(lines))
            signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(judged)


def _ours() -> Judge:
    from rewardmesh.contract import MathReference, Rollout, Score
    from rewardmesh.rewards.math.reward import MathReward

    reward = MathReward()

    def judge(lines: Lines) -> list[Judged]:
        batch = [Rollout(id="r", completion=c, reference=MathReference([r])) for r, c in lines]
        began = time.thread_time()  # the process's own clock only ticks while the timer runs
        try:
            outcomes = reward.score(batch)
        except (MemoryError, RecursionError) as error:
            if len(lines) > 1:
                return [judged for line in lines for judged in judge([line])]
            outcomes = [error]
        cpu = (time.thread_time() - began) / len(lines)
        return [
            Judged(o.value > 0, o.reason, cpu)
            if isinstance(o, Score)
            else Judged(None, f"{type(o).__name__}: {o}", cpu)
            for o in outcomes
        ]

    return judge


def _math_verify() -> Judge:
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)

    def verdict(reference: str, completion: str) -> tuple[bool, str]:
        # Its users wrap a bare reference, which it would read as prose, in a box.
        delimited = "$" in reference or r"\boxed" in reference or r"\(" in reference or r"\[" in reference
        gold = parse(reference if delimited else rf"\boxed{{{reference}}}", parsing_timeout=_ALARM_SECONDS)
        answer = parse(completion, parsing_timeout=_ALARM_SECONDS)
        return verify(gold, answer, timeout_seconds=_ALARM_SECONDS), str(answer)

    def judge(lines: Lines) -> list[Judged]:
        judged: list[Judged] = []
        for line in lines:
            began = time.thread_time()
            try:
                right, reason = verdict(*line)
            except (MemoryError, RecursionError) as error:
                right, reason = None, type(error).__name__
            judged.append(Judged(right, reason, time.thread_time() - began))
        return judged

    return judge
