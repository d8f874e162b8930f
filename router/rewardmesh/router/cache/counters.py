"""What the score cache counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the start, in keys if not said otherwise; a key that one call asks for twice counts once.

    Attributes:
        lru_hits: Found in this process.
        redis_hits: Found in Redis.
        misses: Found in neither, or not looked for in Redis because that fails.
        garbage: Values in Redis under our names that are none of ours.
        written: Sent to Redis.
        dropped: Not sent to Redis, because it fails or is too slow.
        errors: Calls to Redis that failed.
    """

    lru_hits: int = 0
    redis_hits: int = 0
    misses: int = 0
    garbage: int = 0
    written: int = 0
    dropped: int = 0
    errors: int = 0
