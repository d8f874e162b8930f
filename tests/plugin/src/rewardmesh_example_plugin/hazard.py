"""Rewards that do what they are told: everything a defective or attacked reward may do to its neighbours.

What follows " #" in a completion means nothing: it tells apart rollouts that are told the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rewardmesh.contract import Outcome, Rollout, Score

_HOARD: list[bytes] = []


def _obey(rollout: Rollout) -> Outcome | Exception:
    word, _, _ = rollout.completion.partition(" #")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "exit":
        os._exit(3)
    elif word == "spin":
        while True:
            math.factorial(1000)
    elif word == "shrug":  # as symbolic algebra does, which tries one method after the other
        while True:
            with contextlib.suppress(Exception):
                math.factorial(1000)
    elif word == "grind":  # inside C, where no signal handler of Python's runs
        all(itertools.repeat(True))
    elif word == "bloat":
        return Score(float(len(bytearray(4 << 30)) > 0))
    elif word == "hoard":
        _HOARD.append(b"x" * (8 << 20))
    elif word == "recurse":
        return _obey(rollout)
    elif word == "quit":
        sys.exit("told to quit")
    elif word == "raise":
        raise KeyError("told to raise")
    elif word == "return an exception":
        return ValueError("told to return this")
    elif word == "nan":
        return Score(math.nan)
    elif word == "exceed":
        return Score(7.0)
    elif word == "nonsense":
        return "a text"  # pyright: ignore[reportReturnType] - told to break the contract
    elif word.startswith("sleep "):
        time.sleep(float(word.removeprefix("sleep ")))
    elif word.startswith("work "):
        end = time.process_time() + float(word.removeprefix("work "))
        while time.process_time() < end:
            math.factorial(1000)
    elif word.startswith("note "):  # "note live FILE": a line for every time it is scored; it takes its time
        _, then, file = word.split(" ")
        with Path(file).open("a") as notes:
            notes.write(f"{rollout.id}\n")
        if then == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)
    return Score(1.0, reason="obeyed", parsed=str(os.getpid()))


class Hazard:
    """Runs wherever its host puts it."""

    name = "hazard"
    version = "1"

    def score(self, rollouts: Sequence[Rollout]) -> list[Outcome | Exception]:
        return [_obey(r) for r in rollouts]


class IsolatedHazard(Hazard):
    """Runs in killable worker processes."""

    name = "isolated_hazard"
    isolated = True


class PatientHazard:
    """Waits without blocking, as a reward that asks a judge over the network does."""

    name = "patient_hazard"
    version = "1"

    async def score(self, rollouts: Sequence[Rollout]) -> list[Outcome]:
        for rollout in rollouts:
            if rollout.completion.startswith("sleep "):
                await asyncio.sleep(float(rollout.completion.removeprefix("sleep ")))
        return [Score(1.0, reason="obeyed") for _ in rollouts]


class Doubtful(Hazard):
    """Fails its own self-test."""

    name = "doubtful"
    example = Rollout(id="example", completion="raise")
