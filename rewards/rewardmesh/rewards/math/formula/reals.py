"""Sets of real numbers, put in order and compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rewardmesh.rewards.math.formula.bounds import Estimate
from rewardmesh.rewards.math.formula.nouns import End, Infinity, Interval, Items, Reals, Scalar, value_of
from rewardmesh.rewards.math.formula.value import same

__all__ = ["same_reals"]


def same_reals(gold: Reals | Items, answer: Reals | Items) -> bool | None:
    """Whether two sets of reals are equal: intervals, unions of them, inequalities."""
    first, second = _as_reals(gold), _as_reals(answer)
    if first is None or second is None:
        return None
    if first.variable and second.variable and first.variable != second.variable:
        return False
    ours, theirs = _merged(first.intervals), _merged(second.intervals)
    if ours is not None and theirs is not None:
        return len(ours) == len(theirs) and _same_intervals(ours, theirs)
    # Ends that cannot be put in order: (a, a+1), or an interval that is none.
    if len(first.intervals) != len(second.intervals):
        return None
    verdict = _same_intervals(first.intervals, second.intervals)
    return verdict if verdict or (len(first.intervals) == 1 and not _constant(first.intervals[0])) else None


def _constant(interval: Interval) -> bool:
    return all(isinstance(end, Infinity) or end.constant for end in (interval.low, interval.high))


def _as_reals(formula: Reals | Items) -> Reals | None:
    if isinstance(formula, Reals):
        return formula
    if formula.opening not in ("(", "[") or formula.closing not in (")", "]") or len(formula.items) != 2:
        return None
    low, high = formula.items
    if not isinstance(low, Scalar) or not isinstance(high, Scalar):
        return None
    return Reals((Interval(value_of(low), value_of(high), formula.opening == "[", formula.closing == "]"),))


def _same_intervals(ours: Sequence[Interval], theirs: Sequence[Interval]) -> bool | None:
    certain = True
    for a, b in zip(ours, theirs, strict=True):
        if (a.low_in, a.high_in) != (b.low_in, b.high_in):
            return False
        for x, y in ((a.low, b.low), (a.high, b.high)):
            verdict = _same_end(x, y)
            if verdict is False:
                return False
            certain = certain and verdict is True
    return True if certain else None


def _same_end(x: End, y: End) -> bool | None:
    if isinstance(x, Infinity) or isinstance(y, Infinity):
        return x is y
    return same(x, y)


def _merged(intervals: Sequence[Interval]) -> list[Interval] | None:
    """In order and as few as possible; None where the order of their ends is not certain, or an interval is none."""
    for interval in intervals:
        order = _before(interval.low, interval.high)
        if order is None or order > 0 or (order == 0 and not (interval.low_in and interval.high_in)):
            return None
    lows = [_place(interval.low) for interval in intervals]
    if None in lows:
        return None
    ordered = [interval for _, interval in sorted(zip(lows, intervals, strict=True), key=lambda pair: pair[0] or 0.0)]
    for a, b in pairwise(ordered):
        if _before(a.low, b.low) is None:
            return None
    merged: list[Interval] = []
    for interval in ordered:
        if not merged:
            merged.append(interval)
            continue
        last = merged[-1]
        gap = _before(last.high, interval.low)
        if gap is None:
            return None
        if gap < 0 or (gap == 0 and not (last.high_in or interval.low_in)):
            merged.append(interval)
            continue
        reach, begin = _before(last.high, interval.high), _before(last.low, interval.low)
        if reach is None:
            return None
        high, high_in = (interval.high, interval.high_in) if reach < 0 else (last.high, last.high_in)
        if reach == 0:
            high_in = last.high_in or interval.high_in
        merged[-1] = Interval(last.low, high, last.low_in or (begin == 0 and interval.low_in), high_in)
    return merged


def _before(a: End, b: End) -> int | None:
    """-1, 0 or 1 as a is less than, equal to or greater than b; None where that is not certain."""
    if a is b:
        return 0
    if isinstance(a, Infinity):
        return a.value
    if isinstance(b, Infinity):
        return -b.value
    if not (a.constant and b.constant):
        return None
    if a.exact is not None and b.exact is not None:
        return (a.exact > b.exact) - (a.exact < b.exact)
    verdict = same(a, b)
    if verdict:
        return 0
    (x,), (y,) = a.estimates, b.estimates
    if verdict is None or x is None or y is None or not (_real(x) and _real(y)):
        return None
    return -1 if x.value.real < y.value.real else 1


def _place(end: End) -> float | None:
    if isinstance(end, Infinity):
        return math.inf * end.value
    [found] = end.estimates if end.constant else (None,)
    return None if found is None else found.value.real


def _real(x: Estimate) -> bool:
    return abs(x.value.imag) <= x.error
