"""Temporal grounding: when something happens in a video, by IoU of time segments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from rewardmesh.contract import (
    AnswerSpace,
    InvalidReferenceError,
    Rollout,
    Score,
    Segment,
    SegmentReference,
)
from rewardmesh.rewards.answer import Answer, Tags, with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.visual.declared import in_percent, time_option
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.times import MAX_TIMES, Found, last_segments

MAX_SECONDS = 1e7  # 16 weeks: longer than any video
DRIFT = 0.05  # this share of the duration an answer may end too late, and is clipped
ROUNDING = 1.0  # data sets give durations rounded to seconds; a reference may end this much later, and is clipped
_DECIMALS = 9  # so that 01:23.1 and 83.1 are the same number


class TemporalReward:
    """IoU of the segment answered with the reference segment it fits best, as in MiMo-VL (arXiv 2506.03569).

    The best reference, not their union, is the rule of QVHighlights. A later segment replaces an earlier one when
    something is said between the two. Different segments side by side are `ambiguous` where the reference has one;
    where it has several they are a list, of which the first is scored. Times are seconds; an answer space of kind
    "percent" makes them percent of the reference's duration.

    Args:
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.
        answer_space: What times are for rollouts that do not say: `{kind: percent}` or `{kind: seconds}`.
    """

    name = "temporal"
    version = "2"
    inline = True
    reads = ("completion", "reference", "answer_space")
    example: ClassVar[Rollout] = Rollout(
        "example",
        "[00:23,00:47]",
        reference=SegmentReference([Segment(23.0, 47.0)]),
        answer_space=AnswerSpace("seconds"),  # whatever the options say
    )

    def __init__(self, thinking: Sequence[Sequence[str]] = (), answer_space: Mapping[str, Any] | None = None) -> None:
        self._tags = with_tags(thinking)
        self._space = time_option(answer_space)

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, with the component `iou`, or InvalidReferenceError or InvalidRolloutError."""
        return score_each(rollouts, partial(_score, tags=self._tags, default=self._space))


def _score(rollout: Rollout, tags: Tags, default: AnswerSpace | None) -> Score:
    reference = expect_reference(rollout, SegmentReference)
    truth = _truth(reference)
    percent = in_percent(rollout.answer_space, default, reference.duration)
    factor = reference.duration / 100 if percent and reference.duration else 1.0
    for pieces in places(rollout.completion, tags, to_end=True):
        answered: list[tuple[Answer, Found]] = []
        for piece in pieces:
            found = last_segments(piece.text, percent)
            if found is None:
                return Score(0.0, "ambiguous", f"more than {MAX_TIMES} times were answered", "", piece.span)
            answered += ((piece, one) for one in found)
        if not answered:
            continue
        piece, first = answered[0]
        parsed = f"[{first.start_time:g}, {first.end_time:g}]"
        span = piece.start + first.start, piece.start + first.end
        different = len({(one.start_time, one.end_time) for _, one in answered})
        if different > 1 and len(truth) == 1:
            return Score(0.0, "ambiguous", f"{different} different segments were answered where one was asked for")
        segment, problem = _fit(first.start_time * factor, first.end_time * factor, reference.duration, DRIFT)
        if problem:
            return Score(0.0, problem, "the answered segment makes no sense", parsed, span)
        best = max(iou(segment, t) for t in truth)
        return Score(best, "ok", "", parsed, span, {"iou": best})
    return Score(0.0, "no_answer")


def iou(a: Segment, b: Segment) -> float:
    """Intersection over union of two segments with a length, in [0, 1]."""
    intersection = min(a.end, b.end) - max(a.start, b.start)
    if intersection <= 0:
        return 0.0
    return min(1.0, intersection / (max(a.end, b.end) - min(a.start, b.start)))


def _truth(reference: SegmentReference) -> list[Segment]:
    duration = reference.duration
    if duration is not None and not 0 < duration <= MAX_SECONDS:
        raise InvalidReferenceError(f"duration must be a positive number of seconds, got {duration}")
    if not reference.segments:
        raise InvalidReferenceError("needs at least one segment")
    truth: list[Segment] = []
    for i, given in enumerate(reference.segments):
        segment, wrong = _fit(given.start, given.end, duration, ROUNDING / duration if duration else 0.0)
        if wrong:
            limit = "" if duration is None else f" in a video of {duration} s"
            raise InvalidReferenceError(f"segments[{i}] {list(given)} is {wrong}{limit}")
        truth.append(segment)
    return truth


def _fit(start: float, end: float, duration: float | None, drift: float) -> tuple[Segment, str]:
    """The segment, clipped to the duration if it ends a little too late, and "" or what is wrong with it."""
    segment = Segment(start, end)
    if not math.isfinite(start) or not math.isfinite(end):
        return segment, "non_finite"
    if end < start:
        return segment, "swapped"
    if start < 0 or end > (MAX_SECONDS if duration is None else duration * (1 + drift)):
        return segment, "out_of_bounds"
    start, end = round(start, _DECIMALS), round(end if duration is None else min(end, duration), _DECIMALS)
    return Segment(start, end), "" if start < end else "degenerate"
