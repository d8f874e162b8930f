"""The score cache: this process's memory first, then Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rewardmesh.contract.envelope import Envelope
from rewardmesh.router.cache.counters import Counters
from rewardmesh.router.cache.key import Key, Status, make_keys
from rewardmesh.router.cache.lru import LRU
from rewardmesh.router.cache.settings import CacheSettings
from rewardmesh.v1 import reward_pb2 as pb

if TYPE_CHECKING:
    from rewardmesh.router.cache.redis_tier import RedisTier


class ScoreCache:
    """Scores by what they depend on. For one event loop; calls may overlap. No method raises but for cancellation.

    Scores are kept serialised, which is small, cannot be changed by who gets one, and goes into a verdict at once:
    `verdict.score.MergeFromString(score)`.

    Args:
        settings: The cache's part of mesh.yaml.
    """

    def __init__(self, settings: CacheSettings) -> None:
        self.counters = Counters()
        self._lru = LRU(settings.lru_bytes)
        self._redis: RedisTier | None = None
        if settings.redis is not None:
            from rewardmesh.router.cache.redis_tier import RedisTier  # 0.2 s, which most do not need

            self._redis = RedisTier(settings.redis, settings, self.counters)

    @property
    def lru_bytes(self) -> int:
        """Bytes that the scores in this process take."""
        return self._lru.bytes

    @property
    def lru_scores(self) -> int:
        """How many scores are in this process."""
        return len(self._lru)

    @property
    def redis_readable(self) -> bool:
        """Whether Redis is asked; false without one."""
        return self._redis is not None and not self._redis.reads.open

    @property
    def redis_writable(self) -> bool:
        """Whether Redis is written to; false without one."""
        return self._redis is not None and not self._redis.writes.open

    async def start(self) -> None:
        """Connects to Redis, if there is one; waits for it no longer than its time-out."""
        if self._redis is not None:
            await self._redis.start()

    async def close(self) -> None:
        """Writes what still waits for Redis, for at most a second, and disconnects."""
        if self._redis is not None:
            await self._redis.close()

    def keys(self, envelopes: Sequence[Envelope], status: Status) -> list[Key] | None:
        """The keys of the scores of one reward's rollouts, in order; None where the reward is not cacheable."""
        return make_keys(envelopes, status)

    def key(self, envelope: Envelope, status: Status) -> Key | None:
        """The key of one rollout's score. For many, `keys` takes half the time."""
        keys = make_keys([envelope], status)
        return keys[0] if keys else None

    async def get_many(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """The serialised scores that are known."""
        found, missing = self._lru.get_many(keys)
        self.counters.lru_hits += len(found)
        if missing and self._redis is not None:
            known = await self._redis.get_many(missing)
            for key, score in known.items():
                self._lru.put(key, score)
            self.counters.misses -= len(known)
            found |= known
        self.counters.misses += len(missing)
        return found

    def put_many(self, items: Iterable[tuple[Key, pb.Score]]) -> None:
        """Remembers scores here at once, and in Redis some time soon."""
        stored = [(key, score.SerializeToString(deterministic=True)) for key, score in items]
        for key, score in stored:
            self._lru.put(key, score)
        if self._redis is not None and stored:
            self._redis.put_many(stored)
