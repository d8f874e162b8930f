"""Scores remembered in Redis, for all routers. Whatever it does, callers see hits or misses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rewardmesh.router.cache.breaker import Breaker
from rewardmesh.router.cache.counters import Counters
from rewardmesh.router.cache.key import NAME_PREFIX, Key, redis_name
from rewardmesh.router.cache.settings import CacheSettings
from rewardmesh.router.cache.value import pack, unpack
from rewardmesh.router.cache.write_behind import WriteBehind

CONNECTIONS = 8
CLOSE_SECONDS = 1.0
TRY = NAME_PREFIX + b"try"  # a name that is never written
WRITE = "for i, name in ipairs(KEYS) do redis.call('SET', name, ARGV[i + 1], 'EX', ARGV[1]) end"


class RedisTier:
    """Reads with one MGET, writes behind with one script call per batch.

    Reads and writes fail apart: a full or read-only Redis can still be read.

    Args:
        url: As in `CacheSettings.redis`.
        settings: The time-out and the time to live.
        counters: Told of hits, garbage, errors and drops.
    """

    def __init__(self, url: str, settings: CacheSettings, counters: Counters) -> None:
        self._timeout = settings.redis_timeout_seconds
        self._ttl = settings.ttl_seconds
        self._counters = counters
        self.reads = Breaker("reading scores from Redis")
        self.writes = Breaker("writing scores to Redis")
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),  # the default waits for seconds
            protocol=2,  # all of what is used here, without the greetings of 3
        )
        self._redis: Any = Redis.from_pool(pool)  # its methods' types are those of the blocking client as well
        self._script: Any = self._redis.register_script(WRITE)
        self._writer = WriteBehind(self._write, self.writes, counters)
        self._try: asyncio.Task[dict[Key, bytes]] | None = None
        self._calls: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Connects, if it can within the time-out, so that the first rollouts need not."""
        await self._read([])

    async def get_many(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """What Redis knows of these different keys. While it fails: nothing, at once, and now and then it is tried
        again, which nobody waits for."""
        if not self.reads.open:
            return await self._read(keys)
        if (self._try is None or self._try.done()) and self.reads.due():
            self._try = asyncio.create_task(self._read([]))
        return {}

    def put_many(self, items: Sequence[tuple[Key, bytes]]) -> None:
        """Writes serialised scores some time soon, or never."""
        self._writer.put(items)

    async def close(self) -> None:
        """Writes what waits, if that is quick, and disconnects."""
        await self._writer.close(CLOSE_SECONDS)
        if self._try is not None:
            self._try.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._redis.aclose()
        except Exception:  # noqa: BLE001 - it goes away in any case
            pass

    async def _read(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Asks Redis; a call without keys is a try, by the same command, as each may be refused by itself."""
        names = [redis_name(key) for key in keys]
        call = asyncio.create_task(self._mget(names or [TRY]))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        # Not `asyncio.timeout`: a call that is cancelled still waits for its connection to close, for as long again.
        await asyncio.wait([call], timeout=self._timeout)
        if call.done() and not call.cancelled():
            answer = call.result()
        else:
            call.cancel()
            answer = TimeoutError(f"no answer within {self._timeout:g} s")
        if isinstance(answer, Exception):
            self._counters.errors += 1
            self.reads.failed(answer)
            return {}
        if not keys:
            self.reads.succeeded()
            return {}
        known = {
            key: unpack(name, value) for key, name, value in zip(keys, names, answer, strict=True) if value is not None
        }
        found = {key: score for key, score in known.items() if score is not None}
        self._counters.garbage += len(known) - len(found)
        self._counters.redis_hits += len(found)
        return found

    async def _mget(self, names: Sequence[bytes]) -> Sequence[object] | Exception:
        try:
            values = await self._redis.mget(names)
            if len(values) != len(names):
                raise ValueError(f"{len(values)} answers to {len(names)} names")
        except Exception as error:  # noqa: BLE001 - the client, the network and the server have many ways to fail
            return error
        return values

    async def _write(self, batch: Sequence[tuple[Key, bytes]]) -> None:
        named = [(redis_name(key), score) for key, score in batch]
        async with asyncio.timeout(self._timeout):
            await self._script(keys=[name for name, _ in named], args=[self._ttl, *(pack(*each) for each in named)])
