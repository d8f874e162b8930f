"""A whole router whose Redis is frozen, killed, filled and made to lie under load: no verdict changes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

from rewardmesh.contract import MathReference, Rollout
from rewardmesh.router.cache.key import NAME_PREFIX
from rewardmesh.trainer_client.client import RewardClient

from .redis_server import RedisServer, redis_server
from .test_up import banner, up

__all__ = ["redis_server"]

MESH = """listen: 127.0.0.1:0
metrics: 127.0.0.1:0
cache: {{lru_bytes: 0, redis: "{url}", redis_timeout_seconds: 0.5}}
rewards: {{math: {{}}, unloadable: {{}}}}
"""
BATCH = 32
KEPT = 400  # different answers, so that each state sees every answer twice


def spoil(server: RedisServer) -> None:
    for name in server.client.scan_iter(NAME_PREFIX + b"*"):
        server.client.set(name, b"garbage")


def fill(server: RedisServer) -> None:
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", "1")


def start_again(server: RedisServer) -> None:
    server.ensure()


TROUBLE: list[tuple[str, Callable[[RedisServer], None]]] = [
    ("well", lambda server: None),
    ("lying", spoil),
    ("full", fill),
    ("frozen", RedisServer.freeze),
    ("thawed", RedisServer.thaw),
    ("killed", RedisServer.kill),
    ("started again", start_again),
]


def batch(numbers: itertools.count[int]) -> list[Rollout]:
    """Sums, right for even numbers; each comes again after a while."""
    return [
        Rollout(f"{n}", rf"\boxed{{{n % KEPT + n % 2}}}", task="math", reference=MathReference([f"{n % KEPT}"]))
        for n in itertools.islice(numbers, BATCH)
    ]


async def test_no_trouble_of_redis_changes_a_verdict(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.ensure()
    with up(tmp_path, MESH.format(url=redis_server.url)) as router:
        target = (await asyncio.to_thread(banner, router))[0]
        async with RewardClient(target) as client:
            numbers = itertools.count()
            cached: dict[str, int] = {}
            for state, change in TROUBLE:
                await asyncio.to_thread(change, redis_server)
                verdicts = []
                for _ in range(2 * KEPT // BATCH):
                    verdicts += await client.score(batch(numbers))
                wrong = [v for v in verdicts if v.score is None or v.score.value != (int(v.id) % 2 == 0)]
                assert wrong == [], state
                cached[state] = sum(v.cached for v in verdicts)
    assert cached["well"] > 0
    redis_server.ensure()
