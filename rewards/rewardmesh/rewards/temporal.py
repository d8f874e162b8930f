"""Temporal grounding: when something happens in a video, by IoU of time segments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

from rewardmesh.contract import AnswerSpace, InvalidReferenceError, Rollout, Score, Segment, SegmentReference
from rewardmesh.rewards.answer import with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.visual.declared import in_percent, time_option
from rewardmesh.rewards.visual.matching import f1, pairs
from rewardmesh.rewards.visual.options import penalty_option
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.segments import MAX_SECONDS, common, fit_segment, iou, length, merged
from rewardmesh.rewards.visual.times import MAX_TIMES, last_segments
from rewardmesh.rewards.visual.unanswered import unanswered

DRIFT = 0.05  # this share of the duration an answer may end too late, and is clipped
ROUNDING = 1.0  # data sets give durations rounded to seconds; a reference may end this much later, and is clipped
WHOLE = 0.95  # a segment that covers this share of a video says nothing about when in it anything happens
MAX_SEGMENTS = 64  # matching takes cubic time
_HIT = 0.5  # R1@0.5
_REMEMBERED = 1024  # references, while the completions of their group are scored: some MB

Mode = Literal["best", "union", "f1"]
_Times: TypeAlias = tuple[float, float]


class TemporalReward:
    """IoU of the segment answered with the reference segment it fits best, as in MiMo-VL (arXiv 2506.03569).

    A later segment replaces an earlier one when something is said between the two. Times are seconds; an answer space
    of kind "percent" makes them percent of the reference's duration.

    Args:
        mode: What several segments are worth. `best`: the first answered one against the best reference one, as in the
            R1 of QVHighlights (arXiv 2107.09609); different ones side by side are `ambiguous` where the reference has
            one. `union`: IoU of the union of those answered with the union of the reference; one that makes no sense
            spoils the answer. `f1`: matched one to one, 2 * (sum of the matches' IoU) / (number of reference segments +
            number of different answered ones).
        whole_penalty: The share of its value that an answer loses which covers 95 % of the video while the reference
            does not. Such answers have the component `whole_video` in any case.
        answer_space: For rollouts that declare none, `visual.declared.time_option`.
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.

    Raises:
        ValueError: An option is none of the above; the message says what it may be.
    """

    name = "temporal"
    version = "3"
    inline = True
    reads = ("completion", "reference", "answer_space", "truncated")
    example: ClassVar[Rollout] = Rollout(
        "example",
        "[00:23,00:47]",
        reference=SegmentReference([Segment(23.0, 47.0)]),
        answer_space=AnswerSpace("seconds"),  # whatever the options say
    )

    def __init__(
        self,
        mode: Mode = "best",
        whole_penalty: float = 0.0,
        answer_space: Mapping[str, Any] | None = None,
        thinking: Sequence[Sequence[str]] = (),
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}; got {mode!r:.80}")
        self._mode = mode
        self._keeps = 1 - penalty_option(whole_penalty)
        self._space = time_option(answer_space)
        self._tags = with_tags(thinking)

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, or InvalidReferenceError or InvalidRolloutError.

        Its components: `iou` of the first answered segment with the best reference one, whatever the mode; where the
        duration is known `whole_video`; and but for `best` `precision` and `recall` (for `union` the share of what is
        answered, and of the reference, that both have) and `matched`, the number of matches of IoU >= 0.5.
        """
        return score_each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Score:
        reference = expect_reference(rollout, SegmentReference)
        truth = _truth(reference)
        duration = reference.duration
        percent = in_percent(rollout.answer_space, self._space, duration)
        factor = duration / 100 if percent and duration else 1.0
        for pieces in places(rollout.completion, self._tags, to_end=True):
            answers: list[tuple[float, float]] = []
            start = end = 0
            for piece in pieces:
                found = last_segments(piece.text, percent)
                if found is None:
                    return Score(0.0, "too_many", f"more than {MAX_TIMES} times were answered", "", piece.span)
                if found:
                    start = start if answers else piece.start + found[0].start
                    end = piece.start + found[-1].end
                    answers += [(one.start_time * factor, one.end_time * factor) for one in found]
            if answers:
                return self._compare(truth, answers, duration, (start, end))
        return unanswered(rollout, self._tags)

    def _compare(
        self, truth: _Truth, answers: Sequence[_Times], duration: float | None, span: tuple[int, int]
    ) -> Score:
        start, end = answers[0]
        parsed = f"[{start:g}, {end:g}]"
        if len(answers) > 1:
            answers = list(dict.fromkeys(answers))
            parsed = ", ".join([f"[{start:g}, {end:g}]" for start, end in answers])
        if self._mode == "best":
            if len(answers) > 1 and len(truth.segments) == 1:
                said = f"{len(answers)} different segments were answered where one was asked for"
                return Score(0.0, "ambiguous", said, parsed, span)
            answers = answers[:1]
        elif len(answers) > MAX_SEGMENTS:
            return Score(0.0, "too_many", f"more than {MAX_SEGMENTS} segments were answered", parsed, span)
        first, problem = fit_segment(start, end, duration, DRIFT)
        found = [] if problem else [first]
        best = 0.0 if problem else max([iou(first, segment) for segment in truth.segments])
        for later in answers[1:]:
            segment, wrong = fit_segment(*later, duration, DRIFT)
            problem = problem or wrong
            if not wrong:
                found.append(segment)
        if problem and (self._mode == "union" or not found):
            return Score(0.0, problem, "an answered segment makes no sense", parsed, span)
        value, components, reason = best, {"iou": best}, problem or "ok"
        if self._mode == "union":
            value = _by_union(truth, found, components)
        elif self._mode == "f1":
            value = _by_matching(truth, found, len(answers), components)
        if duration is not None:
            whole = not truth.whole and _is_whole(found, duration)
            components["whole_video"] = 1.0 if whole else 0.0
            if whole and self._keeps < 1:
                value, reason = value * self._keeps, "whole_frame"
        return Score(value, reason, "", parsed, span, components)


class _Truth(NamedTuple):
    """The reference's segments, all different; their union; and whether that covers the whole video."""

    segments: tuple[Segment, ...]
    union: list[Segment]
    whole: bool


def _by_union(truth: _Truth, found: Sequence[Segment], components: dict[str, float]) -> float:
    union = merged(found)
    both, answered, asked = common(union, truth.union), length(union), length(truth.union)
    components["precision"] = min(1.0, both / answered)
    components["recall"] = min(1.0, both / asked)
    return min(1.0, both / (answered + asked - both))


def _by_matching(truth: _Truth, found: Sequence[Segment], answered: int, components: dict[str, float]) -> float:
    weights = [[iou(segment, one) for one in found] for segment in truth.segments]
    matches = [weights[i][j] for i, j in pairs(weights)]
    total, asked = math.fsum(matches), len(truth.segments)
    components["precision"] = min(1.0, total / answered)
    components["recall"] = min(1.0, total / asked)
    components["matched"] = float(sum(match >= _HIT for match in matches))
    return f1(total, asked, answered)


@lru_cache(_REMEMBERED)
def _truth(reference: SegmentReference) -> _Truth:
    duration = reference.duration
    if duration is not None and not 0 < duration <= MAX_SECONDS:
        raise InvalidReferenceError(f"duration must be a positive number of seconds, got {duration}")
    if not 1 <= len(reference.segments) <= MAX_SEGMENTS:
        raise InvalidReferenceError(
            f"needs at least one segment and at most {MAX_SEGMENTS}, got {len(reference.segments)}"
        )
    truth: list[Segment] = []
    for i, given in enumerate(reference.segments):
        segment, wrong = fit_segment(given.start, given.end, duration, ROUNDING / duration if duration else 0.0)
        if wrong:
            limit = "" if duration is None else f" in a video of {duration} s"
            raise InvalidReferenceError(f"segments[{i}] {list(given)} is {wrong}{limit}")
        truth.append(segment)
    different = tuple(dict.fromkeys(truth))
    return _Truth(different, merged(different), duration is not None and _is_whole(different, duration))


def _is_whole(segments: Sequence[Segment], duration: float) -> bool:
    covered = segments[0].end - segments[0].start if len(segments) == 1 else length(merged(segments))
    return covered >= WHOLE * duration
