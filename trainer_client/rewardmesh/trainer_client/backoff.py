"""How long to wait before trying again: longer each time, and not all at the same moment."""

from __future__ import annotations

import random


def backoff(attempt: int, first: float, most: float) -> float:
    """Seconds before trying again, after `attempt` failures before this one.

    Doubles from `first` to `most`, less up to a half of it at random: a whole cluster of trainers that lost the same
    router should not come back as a herd.
    """
    return min(first * 2 ** min(attempt, 32), most) * random.uniform(0.5, 1.0)
