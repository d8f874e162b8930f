"""The math reward as a service: verdicts per second through a router, and the same verdicts on a busy machine.

    python -m tests.bench.math_service --corpus FILE [--rows N]

The corpus is that of `tests.bench.math`. A router with `LocalEngine` runs in a process of its own and is asked over one
stream, group by group, first on an idle machine and then beside one spinning process for each core. The last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rewardmesh.contract import MathReference, Rollout
from rewardmesh.contract.verdict import Score, Verdict
from rewardmesh.trainer_client.client import RewardClient

# Groups asked about at once: as many as a training step has, so that the workers never wait for the client.
_GROUPS_AT_ONCE = 32
_ROWS = 2000
_TIMEOUT = 600.0
_SETTINGS = "{listen: '127.0.0.1:0', metrics: '127.0.0.1:0', engine: local, rewards: {math: {}}}"
_LIMITS = ("limit_exceeded", "crashed", "timeout")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.math_service", description="Math through a router.")
    parser.add_argument("--corpus", type=Path, required=True, help="JSON lines; see tests.bench.math")
    parser.add_argument("--rows", type=int, default=_ROWS, help="rows to ask about, in whole groups")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.corpus.read_text(encoding="utf-8").splitlines() if line.strip()]
    groups = _groups(lines[: options.rows])
    asyncio.run(_compare(groups))


async def _compare(groups: Sequence[Sequence[Rollout]]) -> None:
    with _router() as target:
        await _ask(target, groups[:4])  # warm
        idle, seconds = await _ask(target, groups)
    with _router() as target, _spinning():
        await _ask(target, groups[:4])
        busy, busy_seconds = await _ask(target, groups)
    limited = [_said(a)[1] in _LIMITS or _said(b)[1] in _LIMITS for a, b in zip(idle, busy, strict=True)]
    differing = [
        (a.id, _said(a), _said(b))
        for a, b, limit in zip(idle, busy, limited, strict=True)
        if not limit and _said(a) != _said(b)
    ]
    for each in differing[:10]:
        print(*each)
    report = {
        "rollouts": len(idle),
        "groups": len(groups),
        "verdicts_per_s": round(len(idle) / seconds),
        "verdicts_per_s_busy": round(len(busy) / busy_seconds),
        "differing_when_busy": len(differing),
        "limit_hits": sum(limited),
    }
    print(json.dumps(report))


def _groups(lines: Sequence[dict[str, str]]) -> list[list[Rollout]]:
    groups: dict[str, list[Rollout]] = {}
    for place, line in enumerate(lines):
        rollout = Rollout(
            f"r{place}", line["completion"], reference=MathReference([line["reference"]]), group=line["group"]
        )
        groups.setdefault(line["group"], []).append(rollout)
    return list(groups.values())


async def _ask(target: str, groups: Sequence[Sequence[Rollout]]) -> tuple[list[Verdict], float]:
    """The verdicts, and the seconds they took."""
    slots = asyncio.Semaphore(_GROUPS_AT_ONCE)

    async def one(client: RewardClient, group: Sequence[Rollout]) -> list[Verdict]:
        async with slots:
            return await client.score(group)

    async with RewardClient(target, timeout=_TIMEOUT) as client:
        began = time.perf_counter()
        answers = await asyncio.gather(*(one(client, group) for group in groups))
        return [verdict for verdicts in answers for verdict in verdicts], time.perf_counter() - began


def _said(verdict: Verdict) -> tuple[float | None, str]:
    outcome = verdict.outcome
    return (outcome.value, outcome.reason) if isinstance(outcome, Score) else (None, outcome.kind)


@contextmanager
def _router() -> Generator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(_SETTINGS)
        file.flush()
        command = [sys.executable, "-c", "from rewardmesh.router.cli import main; main()", "up", "--config", file.name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]  # "RewardMesh 0.1.0 listens on 127.0.0.1:41234"
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def _spinning() -> Generator[None]:
    spinners = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for spinner in spinners:
        spinner.start()
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.join()


def _spin() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
