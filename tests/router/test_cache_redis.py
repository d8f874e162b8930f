"""The score cache on a real Redis that is shared, killed, frozen, filled and spoilt: slower, never wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.router.cache import CacheSettings, Key, ScoreCache
from rewardmesh.router.cache.key import redis_name
from rewardmesh.router.cache.value import pack, unpack
from rewardmesh.v1 import reward_pb2 as pb

from .redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

KEYS: list[Key] = [("judge 1 abc", f"answer {i}", b"truth") for i in range(300)]
SCORES = {key: pb.Score(value=i / 300, reason="num_eq", components={"iou": 0.5}) for i, key in enumerate(KEYS)}
BYTES = {key: score.SerializeToString(deterministic=True) for key, score in SCORES.items()}


@pytest.fixture(autouse=True)
def fresh(redis_server: RedisServer) -> None:
    redis_server.ensure()


@asynccontextmanager
async def cache_of(server: RedisServer, url: str = "") -> AsyncIterator[ScoreCache]:
    """A started cache that remembers nothing itself and, as tests are not timed, waits long."""
    settings = CacheSettings(lru_bytes=0, redis=url or server.url, redis_timeout_seconds=20)
    cache = ScoreCache(settings)
    await cache.start()
    try:
        yield cache
    finally:
        await cache.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


async def put(cache: ScoreCache, keys: list[Key] = KEYS) -> None:
    before = cache.counters.written
    cache.put_many([(key, SCORES[key]) for key in keys])
    await until(lambda: cache.counters.written >= before + len(keys))


async def recover(cache: ScoreCache) -> None:
    """Asks and writes until both work again, as a router's traffic does."""
    async with asyncio.timeout(60):
        while not (cache.redis_readable and cache.redis_writable):
            await cache.get_many(KEYS[:1])
            cache.put_many([(KEYS[0], SCORES[KEYS[0]])])
            await asyncio.sleep(0.02)


async def test_what_was_put_is_found_by_another_router(redis_server: RedisServer) -> None:
    async with cache_of(redis_server) as one, cache_of(redis_server) as other:
        assert await other.get_many(KEYS) == {}
        assert other.counters.misses == len(KEYS)
        await put(one)
        assert await other.get_many(KEYS) == BYTES
        assert other.counters.redis_hits == len(KEYS)
        found = pb.Verdict()
        found.score.MergeFromString((await other.get_many(KEYS[7:8]))[KEYS[7]])
        assert found.score == SCORES[KEYS[7]]
        assert 0 < redis_server.client.ttl(redis_name(KEYS[0])) <= 7 * 24 * 3600


async def test_what_redis_knew_is_remembered_here(redis_server: RedisServer) -> None:
    async with cache_of(redis_server) as writer:
        await put(writer, KEYS[:2])
    cache = ScoreCache(CacheSettings(redis=redis_server.url, redis_timeout_seconds=20))
    await cache.start()
    assert await cache.get_many(KEYS[:3]) == {key: BYTES[key] for key in KEYS[:2]}
    redis_server.client.flushall()
    assert await cache.get_many(KEYS[:3]) == {key: BYTES[key] for key in KEYS[:2]}
    counted = cache.counters
    assert (counted.redis_hits, counted.lru_hits, counted.misses, cache.lru_scores) == (2, 2, 2, 2)
    await cache.close()


async def test_no_redis_is_needed() -> None:
    cache = ScoreCache(CacheSettings())
    await cache.start()
    cache.put_many(list(SCORES.items()))
    assert await cache.get_many(KEYS) == BYTES
    assert await cache.get_many([("judge 1 abc", "unknown")]) == {}
    assert not cache.redis_readable
    await cache.close()


async def test_a_caller_may_change_its_score_later() -> None:
    cache, mine = ScoreCache(CacheSettings()), pb.Score(value=1.0)
    cache.put_many([(KEYS[0], mine)])
    mine.value = 0.5
    assert pb.Score.FromString((await cache.get_many(KEYS[:1]))[KEYS[0]]).value == 1.0


async def test_killed_and_started_again(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with cache_of(redis_server) as cache:
        await put(cache)
        redis_server.kill()
        for _ in range(3):
            assert await cache.get_many(KEYS) == {}
            cache.put_many(list(SCORES.items()))
            await asyncio.sleep(0)
        await until(lambda: not cache.redis_writable)
        assert not cache.redis_readable
        assert cache.counters.dropped > 0
        redis_server.ensure()
        await recover(cache)
        await put(cache)
        assert await cache.get_many(KEYS) == BYTES
    told = [record.getMessage().split(":")[0] for record in caplog.records if "rewardmesh" in record.name]
    assert sorted(told) == [
        "reading scores from Redis failed, going on without",
        "reading scores from Redis works again",
        "writing scores to Redis failed, going on without",
        "writing scores to Redis works again",
    ]


async def test_frozen_and_thawed(redis_server: RedisServer) -> None:
    settings = CacheSettings(lru_bytes=0, redis=redis_server.url)
    cache = ScoreCache(settings)
    await cache.start()
    await recover(cache)
    redis_server.freeze()
    asked = await asyncio.gather(*[cache.get_many(KEYS[i : i + 4]) for i in range(64)])
    assert not any(asked)
    assert not cache.redis_readable
    failed = cache.counters.errors
    assert await cache.get_many(KEYS) == {}
    assert cache.counters.errors == failed  # it was not asked again
    redis_server.thaw()
    await recover(cache)
    await cache.close()


async def test_unreachable_at_the_start(redis_server: RedisServer) -> None:
    redis_server.kill()
    async with cache_of(redis_server) as cache:
        assert not cache.redis_readable
        assert await cache.get_many(KEYS) == {}
        redis_server.ensure()
        await recover(cache)
        await put(cache)
        assert await cache.get_many(KEYS) == BYTES


async def test_a_reader_that_gives_up_spoils_nothing(redis_server: RedisServer) -> None:
    async with cache_of(redis_server) as cache:
        await put(cache)
        for i in range(50):
            asking = asyncio.create_task(cache.get_many(KEYS[i : i + 50]))
            await asyncio.sleep(0.0001 * (i % 7))
            asking.cancel()
            assert await cache.get_many(KEYS[200:]) == {key: BYTES[key] for key in KEYS[200:]}
        assert cache.counters.errors == 0


@pytest.mark.parametrize("spoil", ["random", "empty", "cut", "grown", "flipped", "version", "of another", "a list"])
async def test_garbage_is_a_miss(redis_server: RedisServer, spoil: str) -> None:
    async with cache_of(redis_server) as cache:
        await put(cache)
        name, client = redis_name(KEYS[0]), redis_server.client
        kept = pack(name, BYTES[KEYS[0]])
        assert client.get(name) == kept
        if spoil == "a list":
            client.delete(name)
            client.rpush(name, kept)
        else:
            client.set(name, {
                "random": os.urandom(len(kept)),
                "empty": b"",
                "cut": kept[:-1],
                "grown": kept + b"\0",
                "flipped": kept[:-1] + bytes([kept[-1] ^ 1]),
                "version": b"\1" + kept[1:],
                "of another": pack(redis_name(KEYS[1]), BYTES[KEYS[1]]),
            }[spoil])  # fmt: skip
        assert await cache.get_many(KEYS) == {key: BYTES[key] for key in KEYS[1:]}
        assert cache.counters.garbage == (spoil != "a list")  # which MGET tells as nothing
        await put(cache)
        assert await cache.get_many(KEYS) == BYTES


@given(st.binary(), st.binary(max_size=100))
def test_only_what_was_packed_under_a_name_is_unpacked(score: bytes, other: bytes) -> None:
    name = redis_name(KEYS[0])
    assert unpack(name, pack(name, score)) == score
    assert unpack(redis_name(KEYS[1]), pack(name, score)) is None
    assert unpack(name, other) is None


async def test_full(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with cache_of(redis_server) as cache:
        await put(cache, KEYS[:100])
        redis_server.client.config_set("maxmemory-policy", "noeviction")
        redis_server.client.config_set("maxmemory", 1)
        cache.put_many([(key, SCORES[key]) for key in KEYS[100:]])
        await until(lambda: not cache.redis_writable)
        assert await cache.get_many(KEYS) == {key: BYTES[key] for key in KEYS[:100]}
        assert cache.redis_readable
        redis_server.client.config_set("maxmemory", 0)
        await recover(cache)
        await put(cache)
        assert await cache.get_many(KEYS) == BYTES
    assert caplog.text.count("writing scores to Redis failed") == 1
    assert "reading" not in caplog.text


async def test_a_replica_can_be_read(redis_server: RedisServer) -> None:
    async with cache_of(redis_server) as cache:
        await put(cache, KEYS[:100])
        redis_server.client.replicaof("127.0.0.1", "1")  # of nobody: its data stays
        cache.put_many([(key, SCORES[key]) for key in KEYS[100:]])
        await until(lambda: not cache.redis_writable)
        assert await cache.get_many(KEYS) == {key: BYTES[key] for key in KEYS[:100]}


async def test_a_password_is_needed(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    redis_server.ensure("--requirepass", "secret")
    async with cache_of(redis_server) as stranger:
        assert await stranger.get_many(KEYS) == {}
        cache = ScoreCache(CacheSettings(redis=redis_server.url.replace("//", "//:wrong-word@"), lru_bytes=0))
        await cache.start()
        assert not cache.redis_readable
        await cache.close()
        assert "wrong-word" not in caplog.text
    async with cache_of(redis_server, redis_server.url.replace("//", "//:secret@")) as friend:
        await put(friend)
        assert await friend.get_many(KEYS) == BYTES


async def test_scripts_are_disabled(redis_server: RedisServer) -> None:
    redis_server.ensure("--rename-command", "EVALSHA", "", "--rename-command", "EVAL", "")
    async with cache_of(redis_server) as cache:
        cache.put_many(list(SCORES.items()))
        await until(lambda: not cache.redis_writable)
        assert await cache.get_many(KEYS) == {}
        assert cache.redis_readable
        assert cache.counters.dropped == len(KEYS)


async def test_a_server_that_is_no_redis() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        cache = ScoreCache(CacheSettings(lru_bytes=0, redis=url, redis_timeout_seconds=20))
        await cache.start()
        assert not cache.redis_readable
        assert await cache.get_many(KEYS) == {}
        await cache.close()


async def test_a_socket_in_the_file_system(redis_server: RedisServer) -> None:
    with TemporaryDirectory() as folder:  # a short path, as such sockets need
        redis_server.ensure("--unixsocket", f"{folder}/redis.sock")
        async with cache_of(redis_server, f"unix://{folder}/redis.sock") as cache:
            await put(cache)
            assert await cache.get_many(KEYS) == BYTES


async def test_tls_is_not_given_up_for_plain_text(redis_server: RedisServer) -> None:
    cache = ScoreCache(CacheSettings(redis=redis_server.url.replace("redis:", "rediss:")))  # its usual 50 ms will do
    await cache.start()
    assert not cache.redis_readable
    assert await cache.get_many(KEYS) == {}
    await cache.close()


async def test_a_slow_redis_costs_a_bounded_queue(redis_server: RedisServer) -> None:
    async with cache_of(redis_server) as cache:
        long = pb.Score(value=1.0, explanation="x" * 2**20)
        cache.put_many([(key, long) for key in KEYS[:20]])  # 20 MiB, before the writer has its first turn
        assert cache.counters.dropped == 20 - 7  # 8 MiB with their keys


async def test_closing_writes_what_waits(redis_server: RedisServer) -> None:
    async with cache_of(redis_server) as cache:
        cache.put_many(list(SCORES.items()))
    assert redis_server.client.dbsize() == len(KEYS)
