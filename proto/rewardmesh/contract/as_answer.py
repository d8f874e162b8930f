"""Writes a reference as the completion of a policy that got it right.

Every reward must pay this in full: a training job checks its references with it before it starts, and a router checks
its rewards with it before it calls them ready.
"""

from __future__ import annotations

import json

from rewardmesh.contract.reference import (
    ActionReference,
    Box,
    BoxReference,
    CountReference,
    MathReference,
    PointReference,
    PreferenceReference,
    Reference,
    Region,
    SegmentReference,
)
from rewardmesh.contract.rollout import AnswerSpace


def as_answer(reference: Reference | None) -> str | None:
    """The completion that states the reference, or None where the reference does not say one."""
    match reference:
        case MathReference(answers=[first, *_]):
            return f"\\boxed{{{first.strip().strip('$')}}}"
        case BoxReference():
            labels = list(reference.labels) or [""] * len(reference.boxes)
            rows = [{"bbox_2d": list(b), "label": label} for b, label in zip(reference.boxes, labels, strict=False)]
            return json.dumps(rows)
        case PointReference(refusal=True):
            return "(-1, -1)"
        case PointReference(regions=[region, *_]):
            return f"({', '.join(map(repr, _corner(region)))})"
        case CountReference():
            return str(reference.count)
        case SegmentReference():
            return ", ".join(f"[{_clock(start)},{_clock(end)}]" for start, end in reference.segments)
        case ActionReference():
            return _action(reference)
        case PreferenceReference(completions=[first, *_]):
            return first
        case _:
            return None


def answered_in(reference: Reference | None) -> AnswerSpace | None:
    """The space of what `as_answer` writes, to be declared with it: rewards may be told that a model writes in another.

    None where the answer has no coordinates and no times.
    """
    match reference:
        case BoxReference() | PointReference() | ActionReference():
            return AnswerSpace(reference.space)
        case SegmentReference():
            return AnswerSpace("seconds")
        case _:
            return None


def _corner(region: Region) -> tuple[float, float]:
    """A point of the region that needs no geometry to find: boundaries belong to it."""
    if isinstance(region, Box):
        return (region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2
    return region.vertices[0] if region.vertices else (0.0, 0.0)


def _clock(seconds: float) -> str:
    """mm:ss to the nanosecond. Computed in integers: 59.9999999999 is 01:00, and must not become 00:60."""
    if not 0 <= seconds < float("inf"):
        return repr(seconds)
    whole, nanoseconds = divmod(int(seconds) * 10**9 + round(seconds % 1 * 10**9), 10**9)
    minutes, rest = divmod(whole, 60)
    decimals = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{minutes:02d}:{rest:02d}{decimals}"


def _action(reference: ActionReference) -> str:
    point = None if reference.region is None else list(_corner(reference.region))
    fields = {
        "action": reference.action,
        "start_point": point,
        "text": reference.text,
        "direction": reference.direction,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})
