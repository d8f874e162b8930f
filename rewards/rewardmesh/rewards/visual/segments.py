"""Segments of time: whether they make sense, and how well they overlap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rewardmesh.contract import Segment

MAX_SECONDS = 1e7  # 16 weeks: longer than any video
_DECIMALS = 9  # so that 01:23.1 and 83.1 are the same number


def fit_segment(start: float, end: float, duration: float | None, drift: float) -> tuple[Segment, str]:
    """The segment, clipped to the duration if it ends a little too late, and what is wrong with it.

    Args:
        start: In seconds.
        end: Likewise.
        duration: The video's, positive; None when unknown.
        drift: The share of the duration by which the segment may end too late.

    Returns:
        The segment to the nanosecond, and "" or a reason: non_finite, swapped, out_of_bounds or degenerate (no length).
    """
    if not 0 <= start <= end <= (MAX_SECONDS if duration is None else duration * (1 + drift)):  # or one is nan
        if not math.isfinite(start) or not math.isfinite(end):
            return Segment(start, end), "non_finite"
        return Segment(start, end), "swapped" if end < start else "out_of_bounds"
    if duration is not None and end > duration:
        end = duration
    if start % 1:  # rounding takes its time
        start = round(start, _DECIMALS)
    if end % 1:
        end = round(end, _DECIMALS)
    return Segment(start, end), "" if start < end else "degenerate"


def iou(a: Segment, b: Segment) -> float:
    """Intersection over union of two segments with a length, in [0, 1]."""
    (start, end), (other_start, other_end) = a, b
    first, last = (start, other_start) if start < other_start else (other_start, start)
    early, late = (end, other_end) if end < other_end else (other_end, end)
    return min(1.0, (early - last) / (late - first)) if early > last else 0.0


def merged(segments: Iterable[Segment]) -> list[Segment]:
    """Their union: segments in order that neither overlap nor touch."""
    union: list[Segment] = []
    for segment in sorted(segments):
        if union and segment.start <= union[-1].end:
            union[-1] = Segment(union[-1].start, max(union[-1].end, segment.end))
        else:
            union.append(segment)
    return union


def length(union: Sequence[Segment]) -> float:
    """The seconds that a union covers."""
    return math.fsum(segment.end - segment.start for segment in union)


def common(a: Sequence[Segment], b: Sequence[Segment]) -> float:
    """The seconds that two unions have in common."""
    seconds: list[float] = []
    i = j = 0
    while i < len(a) and j < len(b):
        seconds.append(max(0.0, min(a[i].end, b[j].end) - max(a[i].start, b[j].start)))
        if a[i].end < b[j].end:
            i += 1
        else:
            j += 1
    return math.fsum(seconds)
