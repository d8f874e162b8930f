"""Ten times more than a reward can do: what still gets done, and whether every rollout is answered.

    python -m tests.bench.overload [--engine local|serve] [--replicas N] [--seconds S]

The reward sleeps 5 ms, so that the generator is not the bottleneck. Its peak is measured first, with as many rollouts
on the way as keep it busy; then ten times that is offered for some seconds, in messages of 16 with two seconds each. A
verdict that comes is a score or a failure `overloaded` (or `timeout`), and the answers are counted. The client does not
try again. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc.aio

from rewardmesh.contract import Rollout
from rewardmesh.contract.codec import decode_response, encode_rollout
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1.reward_pb2_grpc import RewardServiceStub
from tests.bench import echoes

MESSAGE = 16
TIMEOUT_SECONDS = 2.0
OVER = 10


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload", description="A router under overload.")
    parser.add_argument("--engine", choices=["local", "serve"], default="local", help="where the reward runs")
    parser.add_argument("--replicas", type=int, default=1, help="on Ray Serve")
    parser.add_argument("--seconds", type=float, default=30.0, help="of overload")
    options = parser.parse_args()
    router = echoes.Process(echoes.router, engine=options.engine, rewards={"hazard": {"replicas": options.replicas}})
    try:
        report = asyncio.run(_measure(router, options.seconds))
    finally:
        router.close()
    sys.stdout.write(json.dumps({"engine": options.engine, "replicas": options.replicas} | report) + "\n")


async def _measure(router: echoes.Process, seconds: float) -> dict[str, Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
        stub: Any = RewardServiceStub(channel)
        request = pb.ScoreRequest(
            rollouts=[encode_rollout(Rollout(f"{i}", f"sleep 0.005 # {i}", task="hazard")) for i in range(MESSAGE)],
            options=pb.ScoreOptions(timeout_seconds=TIMEOUT_SECONDS),
        )
        kinds: Counter[str] = Counter()
        refusals: list[float] = []

        async def ask() -> None:
            began = time.perf_counter()
            verdicts = decode_response(await stub.Score(request))
            took = time.perf_counter() - began
            found = ["score" if v.score else v.failure.kind if v.failure else "" for v in verdicts]
            kinds.update(found)
            if set(found) == {"overloaded"}:
                refusals.append(took)

        async def busy(end: float) -> None:
            while time.perf_counter() < end:
                await ask()

        await ask()
        kinds.clear()
        began = time.perf_counter()
        await asyncio.gather(*(busy(began + 5.0) for _ in range(4)))
        peak = kinds["score"] / (time.perf_counter() - began)
        kinds.clear()
        refusals.clear()
        memory = _memory(router)
        began, offered = time.perf_counter(), 0
        under_way: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter()) < began + seconds:
            while offered < OVER * peak * (now - began):
                task = asyncio.create_task(ask())
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                offered += MESSAGE
            await asyncio.sleep(0.005)
        scored_in_time = kinds["score"]
        took = time.perf_counter() - began
        await asyncio.gather(*under_way)
        refusals.sort()
        return {
            "peak_per_s": round(peak, 1),
            "offered_per_s": round(offered / took, 1),
            "goodput_per_s": round(scored_in_time / took, 1),
            "goodput_of_peak": round(scored_in_time / took / peak, 3),
            "answered": sum(kinds.values()) == offered,
            "kinds": dict(kinds),
            "refusal_p99_ms": round(1000 * refusals[int(0.99 * len(refusals))], 1) if refusals else None,
            "memory_growth_mb": round(_memory(router) - memory, 1),
        }


def _memory(router: echoes.Process) -> float:
    """MB that the router's process holds."""
    for line in Path(f"/proc/{router.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS")


if __name__ == "__main__":
    main()
