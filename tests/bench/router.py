"""The router's latency and throughput beside bare echoes, in one run.

    python -m tests.bench.router [--engine local|serve] [--rounds N] [--seconds S]

Every server has a process of its own; this one is the only client. All sides take turns, and latencies are of all
rounds together. One rollout at a time is a counting rollout through `RewardClient`, whose bytes the echoes get too; the
echo of batches is a stream that answers rollouts with verdicts and does nothing else. The floors (`floor.py`) are
rewards behind a bare stream, without a router: what no router can be faster than. Mixed batches hold counting,
temporal, point and grounding rollouts, and every verdict is checked. The default Serve handle has a cluster of its own,
and its turn at the end: one that idles would cost the others their time.

`..._vs_...` is ours over the other, except for throughputs. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from rewardmesh.contract import (
    Box,
    BoxReference,
    CountReference,
    MathReference,
    PointReference,
    Rollout,
    Score,
    Segment,
    SegmentReference,
    Size,
)
from rewardmesh.contract.codec import encode_rollout
from rewardmesh.contract.verdict import Verdict
from rewardmesh.services.heap import settle
from rewardmesh.trainer_client.client import RewardClient
from rewardmesh.v1 import reward_pb2 as pb
from tests.bench import cache, echoes, floor, handle
from tests.bench.clients import Echo, Tcp

REWARDS = ("counting", "temporal", "point", "grounding")
BATCHES = (64, 256, 1024)
CONCURRENT = (1, 16, 64)

Call = Callable[[], Awaitable[object]]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.router", description="The router beside echoes.")
    parser.add_argument("--engine", choices=["local", "serve"], default="local", help="where rewards run")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=0.4, help="of each turn")
    options = parser.parse_args()
    settings = {"engine": options.engine, "rewards": {name: {} for name in (*REWARDS, "math")}}
    servers = {
        "router": echoes.Process(echoes.router, **settings),
        "tcp": echoes.Process(echoes.tcp),
        "echo": echoes.Process(echoes.echo),
        "floor": echoes.Process(floor.serve, examples={one.task: one for one in mixed(64)}),
    }
    try:
        report = asyncio.run(_measure(servers, options.rounds, options.seconds))
    finally:
        for server in servers.values():
            server.close()
    report = {"engine": options.engine} | report
    for name, figure in report.items():
        sys.stdout.write(f"{name:32} {figure}\n")
    sys.stdout.write(json.dumps(report) + "\n")


async def _measure(servers: dict[str, echoes.Process], rounds: int, seconds: float) -> dict[str, Any]:
    settle()  # what was imported here for the servers is no client's
    report: dict[str, Any] = {}
    async with RewardClient(f"127.0.0.1:{servers['router'].port}", timeout=30) as client:
        echo = await Echo.open(servers["echo"].port)
        tcp = await Tcp.open(servers["tcp"].port)
        least = floor.Floor(servers["floor"].port)
        one = Rollout("r", "There are three cats in the picture.", reference=CountReference(3))
        named = replace(one, task="counting")  # the floor does not classify
        data = pb.StreamRequest(score=pb.ScoreRequest(rollouts=[encode_rollout(one)])).SerializeToString()

        async def ours() -> None:
            _check(await client.score([one]))

        sides: dict[str, Call] = {
            "": ours,
            "tcp_echo": lambda: tcp.call(data),
            "unary_echo": lambda: echo.unary(data),
            "stream_echo": lambda: echo.stream(data),
            "floor": lambda: least.call("Scored", [named]),
        }
        for callers in CONCURRENT:
            report |= await _latencies(sides, callers, rounds, seconds)
        report["cpu_us_per_rollout"] = await _cpu(servers["router"], sides[""], seconds)
        for size in BATCHES:
            report |= await _amortised(client, echo, least, size, rounds, seconds)
        report |= await _throughput(client, rounds, seconds)
        report |= await _cached(client, rounds, seconds)
        await echo.close()
        await least.close()
        tcp.close()
    report["p50_ms"], report["p99_ms"] = report["p50_ms_1"], report["p99_ms_1"]
    report["lru_hit_us"] = await cache.lru_hit_us()
    handle50, handle99 = _quantiles(await asyncio.to_thread(handle.latencies, data, rounds * seconds))
    report["serve_handle_p50_ms"], report["serve_handle_p99_ms"] = _ms(handle50), _ms(handle99)
    report["p50_vs_serve_handle"] = round(report["p50_ms"] / _ms(handle50), 2)
    return report


async def _latencies(sides: dict[str, Call], callers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """p50 and p99 of all sides with so many callers at once, and how often a second they are answered."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for count in range(rounds + 1):
        for name, call in sides.items():
            found, rate = await _callers(call, callers, seconds)
            if count:  # the first turn warms
                times[name] += found
                rates[name].append(rate)
    report: dict[str, Any] = {}
    quantiles = {name: _quantiles(found) for name, found in times.items()}
    ours50, ours99 = quantiles[""]
    report[f"p50_ms_{callers}"], report[f"p99_ms_{callers}"] = _ms(ours50), _ms(ours99)
    for name, (p50, p99) in quantiles.items():
        if name:
            report[f"{name}_p50_ms_{callers}"], report[f"{name}_p99_ms_{callers}"] = _ms(p50), _ms(p99)
    if callers == 1:
        p50, p99 = quantiles["stream_echo"]
        report["p50_vs_stream_echo"], report["p99_vs_stream_echo"] = round(ours50 / p50, 2), round(ours99 / p99, 2)
        report["floor_p50_vs_stream_echo"] = round(quantiles["floor"][0] / p50, 2)
    rate = {name: statistics.median(found) for name, found in rates.items()}
    report[f"calls_per_s_{callers}"] = round(rate[""])
    report[f"concurrent_{callers}_vs_unary_echo"] = round(rate[""] / rate["unary_echo"], 2)
    return report


async def _callers(call: Call, callers: int, seconds: float) -> tuple[list[float], float]:
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await call()
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return times, len(times) / (time.perf_counter() - began)


async def _amortised(
    client: RewardClient, echo: Echo, least: floor.Floor, size: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Microseconds per rollout of mixed batches, two on the way, beside the echo that answers with verdicts."""
    batch = mixed(size)
    messages = [encode_rollout(rollout) for rollout in batch]

    async def ours() -> None:
        _check(await client.score(batch))

    async def theirs() -> None:
        # built and read as a client does: that is most of what an echo of rollouts costs
        request = pb.StreamRequest(score=pb.ScoreRequest(rollouts=[_rebuilt(message) for message in messages]))
        response = await echo.verdicts(request)
        if [verdict.score.value for verdict in response.verdicts] != [1.0] * size:
            raise SystemExit("the echo does not answer")

    async def scored() -> None:
        _check(await least.call("Scored", batch))

    async def coded() -> None:
        _check(await least.call("Coded", batch))

    sides = {"ours": ours, "theirs": theirs, "scored": scored, "coded": coded}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for count in range(rounds + 1):
        for name, call in sides.items():
            _, rate = await _callers(call, 2, seconds)
            if count:
                found[name].append(1e6 / (rate * size))
    ours_us, theirs_us, scored_us, coded_us = (statistics.median(found[name]) for name in sides)
    return {
        f"amortised_{size}_us": round(ours_us, 1),
        f"amortised_{size}_echo_us": round(theirs_us, 1),
        f"amortised_{size}_vs_echo": round(ours_us / theirs_us, 2),
        f"floor_{size}_vs_echo": round(scored_us / theirs_us, 2),
        f"codec_{size}_vs_echo": round(coded_us / theirs_us, 2),
    }


def _rebuilt(message: pb.Rollout) -> pb.Rollout:
    return pb.Rollout(id=message.id, completion=message.completion, group=message.group, reference=message.reference)


async def _throughput(client: RewardClient, rounds: int, seconds: float) -> dict[str, Any]:
    """Rollouts a second, mixed and of each reward alone."""
    kinds = {"": mixed(256)} | {f"_{name}": [r for r in mixed(1024) if r.task == name] for name in REWARDS}
    report: dict[str, Any] = {}
    for name, batch in kinds.items():

        async def ours(batch: list[Rollout] = batch) -> None:
            _check(await client.score(batch))

        rates = [(await _callers(ours, 4, seconds))[1] * len(batch) for _ in range(rounds)]
        report[f"rollouts_per_s{name}"] = round(statistics.median(rates))
    return report


async def _cached(client: RewardClient, rounds: int, seconds: float) -> dict[str, Any]:
    """Microseconds per math rollout of a batch that is remembered, and of one that is not."""
    numbers = itertools.count()

    def batch() -> list[Rollout]:
        return [
            Rollout(f"{n}", rf"So it is \boxed{{{n}}}.", task="math", reference=MathReference([f"{n}"]))
            for n in itertools.islice(numbers, 256)
        ]

    known = batch()
    _check(await client.score(known))

    async def hit() -> None:
        _check(await client.score(known))

    async def miss() -> None:
        _check(await client.score(batch()))

    found: dict[str, list[float]] = {"hit": [], "miss": []}
    for _ in range(rounds):
        for name, call in (("hit", hit), ("miss", miss)):
            found[name].append(1e6 / ((await _callers(call, 2, seconds))[1] * 256))
    return {f"cache_{name}_256_us": round(statistics.median(us), 1) for name, us in found.items()}


async def _cpu(router: echoes.Process, call: Call, seconds: float) -> float:
    before = router.cpu()
    times, _ = await _callers(call, 16, max(1.0, seconds))
    return round(1e6 * (router.cpu() - before) / len(times), 1)


def mixed(size: int) -> list[Rollout]:
    """Rollouts of four tasks that all score above 0.8, in groups of 16."""
    box = Box(100, 120, 300, 400)
    frame = Size(1280, 960)
    kinds = [
        ("counting", ("There are three cats in the picture.", CountReference(3))),
        ("temporal", ("<answer>24s - 47s</answer>", SegmentReference([Segment(23.0, 47.0)], 120.0))),
        ("point", ("(197, 252)", PointReference([box], image_size=frame))),
        (
            "grounding",
            ('[{"bbox_2d": [104, 118, 297, 405], "label": "cat"}]', BoxReference([box], image_size=frame)),
        ),
    ]
    return [
        Rollout(f"r{i}", text, task=task, reference=reference, group=f"g{i // 16}")
        for i in range(size)
        for task, (text, reference) in (kinds[i // 16 % 4],)
    ]


def _check(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        if not isinstance(verdict.outcome, Score) or verdict.outcome.value < 0.8:
            raise SystemExit(f"a wrong verdict: {verdict}")


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


if __name__ == "__main__":
    main()
