"""What remembered scores cost to look up, and what a Redis in trouble costs a router under load.

    python -m tests.bench.cache [--seconds S]

Looks up batches of 256 scores: in memory, with their keys; in Redis by one MGET, bare and as a whole read with
checksums. Then a router that scores math without a memory of its own is under load while its Redis is well, frozen and
killed: latencies of messages of 32, the worst in the first second of each trouble and the p99 after it. Every verdict
is checked. Redis is a real redis-server. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import redis.asyncio

from rewardmesh.contract import MathReference, Rollout
from rewardmesh.contract.envelope import Envelope
from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.cache.key import redis_name
from rewardmesh.router.cache.settings import CacheSettings
from rewardmesh.services.engine import RewardStatus
from rewardmesh.trainer_client.client import RewardClient
from rewardmesh.v1 import reward_pb2 as pb
from tests.bench import echoes
from tests.router.redis_server import RedisServer

SIZE = 256
MESSAGE = 32
REPEATS = 200
STATUS = RewardStatus("math", "1", "d", ("math",), True, cacheable=True, reads=("completion", "reference"))


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cache", description="The score cache.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in each state of Redis")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.ensure()
        try:
            report = asyncio.run(_measure(server, options.seconds))
        finally:
            server.kill()
    sys.stdout.write(json.dumps(report) + "\n")


async def _measure(server: RedisServer, seconds: float) -> dict[str, Any]:
    report = {"lru_hit_us": await lru_hit_us()}
    report |= await _redis_reads(server)
    return report | await _trouble(server, seconds)


async def lru_hit_us() -> float:
    """Microseconds for a score of a batch of 256 that are all in memory: its key, the look, the pick."""
    cache = ScoreCache(CacheSettings())
    envelopes, keys = _stored(cache)

    async def look() -> None:
        made = cache.keys(envelopes, STATUS)
        if len(await cache.get_many(made or [])) != len(keys):
            raise SystemExit("a miss")

    return round(1e6 * await _best(look) / SIZE, 2)


async def _redis_reads(server: RedisServer) -> dict[str, float]:
    cache = ScoreCache(CacheSettings(lru_bytes=0, redis=server.url))
    await cache.start()
    _, keys = _stored(cache)
    names = [redis_name(key) for key in keys]
    client = redis.asyncio.Redis(port=server.port)
    while any(value is None for value in await client.mget(names)):  # noqa: ASYNC110 - written behind
        await asyncio.sleep(0.01)

    async def read() -> None:
        if len(await cache.get_many(keys)) != SIZE:
            raise SystemExit("a miss")

    async def mget() -> None:
        await client.mget(names)

    found = {
        "redis_mget_256_ms": round(1000 * await _best(mget), 2),
        "redis_read_256_ms": round(1000 * await _best(read), 2),
    }
    await client.aclose()
    await cache.close()
    return found


def _stored(cache: ScoreCache) -> tuple[list[Envelope], list[Any]]:
    reference = MathReference([r"\frac{1}{2}"])
    rollouts = [
        Rollout(f"{i}", rf"Hence the answer is \boxed{{{i}}}.", task="math", reference=reference) for i in range(SIZE)
    ]
    envelopes = [Envelope.seal(rollout) for rollout in rollouts]
    keys = cache.keys(envelopes, STATUS) or []
    cache.put_many([(key, pb.Score(value=0.5, reason="num_eq", parsed="1/2")) for key in keys])
    return envelopes, keys


async def _best(call: Callable[[], Awaitable[None]]) -> float:
    """Median seconds of many calls."""
    times: list[float] = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await call()
        times.append(time.perf_counter() - began)
    return sorted(times)[REPEATS // 2]


async def _trouble(server: RedisServer, seconds: float) -> dict[str, Any]:
    settings: dict[str, Any] = {"rewards": {"math": {}}, "cache": {"lru_bytes": 0, "redis": server.url}}
    router = echoes.Process(echoes.router, engine="local", **settings)
    numbers = itertools.count()
    report: dict[str, Any] = {}
    try:
        async with RewardClient(f"127.0.0.1:{router.port}", timeout=30) as client:
            await _load(client, numbers, 2.0)  # warms
            states: dict[str, Callable[[], object]] = {
                "well": lambda: None,
                "frozen": server.freeze,
                "thawed": server.thaw,
                "killed": server.kill,
            }
            wrong = 0
            for state, change in states.items():
                await asyncio.to_thread(change)
                first, bad = await _load(client, numbers, 1.0)
                later, worse = await _load(client, numbers, seconds)
                wrong += bad + worse
                report[f"{state}_worst_first_second_ms"] = round(1000 * max(first), 1)
                report[f"{state}_p99_ms"] = round(1000 * sorted(later)[int(0.99 * len(later))], 1)
            report["wrong_or_failed"] = wrong
    finally:
        router.close()
    return report


async def _load(client: RewardClient, numbers: itertools.count[int], seconds: float) -> tuple[list[float], int]:
    """Latencies of messages, one after the other, and how many verdicts were not as they must be."""
    times: list[float] = []
    wrong = 0
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        batch = [
            Rollout(f"{n}", rf"\boxed{{{n + n % 2}}}", task="math", reference=MathReference([f"{n}"]))
            for n in itertools.islice(numbers, MESSAGE)
        ]
        verdicts = await client.score(batch)
        times.append(time.perf_counter() - began)
        wrong += sum(v.score is None or v.score.value != (int(v.id) % 2 == 0) for v in verdicts)
    return times, wrong


if __name__ == "__main__":
    main()
