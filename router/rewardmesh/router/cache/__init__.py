"""Remembers scores: in this process, and in a Redis that routers share. Slower without it, never different."""

from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.cache.counters import Counters
from rewardmesh.router.cache.key import Key
from rewardmesh.router.cache.settings import CacheSettings

__all__ = ["CacheSettings", "Counters", "Key", "ScoreCache"]
