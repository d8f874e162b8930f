"""Counting: how many there are, exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from rewardmesh.contract import CountReference, InvalidReferenceError, Rollout, Score
from rewardmesh.rewards.answer import with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.numerals import MAX_NUMERALS, Numeral, numerals
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.unanswered import unanswered

# A conclusion stands near the end of a text; reading this many characters costs a few milliseconds at worst.
_WINDOW = 4096
MAX_COUNT = 10**9  # far beyond anything that can be counted in an image, and short enough to be read

_RANGE = re.compile(r"\s{0,3}(?:-|–|—|~|～|\bto\b|\bor\b|至|到|或者?)\s{0,3}", re.IGNORECASE)  # between two counts
_LONGEST_RANGE = 12  # characters of the above
_CLOSED = re.compile(r"[)）]")
# Working leads up to a conclusion: "1, 2, 3, 4. So 4.", "左边2个，右边1个，一共3个", "2 + 1 = 3".
_CONCLUSION = re.compile(
    r"\b(?:so|thus|therefore|hence|altogether|totals?|in all|in conclusion|making)\b"
    r"|=|一共|总共|共有|共计|所以|因此|总数",
    re.IGNORECASE,
)


class CountingReward:
    """1 for the exact count, else 0, as in MiMo-VL (arXiv 2506.03569, section 3).

    Counts are digits, English words or Chinese numerals. A range, a bound ("at least 4") or an estimate is no count
    (`count_range`), and neither is an ordinal (`count_ordinal`); different counts are `ambiguous` unless the last of
    them stands alone behind a conclusion ("so", "in total", "一共") or the others break it down: "3 (1 left, 2 right)".

    Args:
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.
    """

    name = "counting"
    version = "3"
    inline = True
    reads = ("completion", "reference", "truncated")
    example: ClassVar[Rollout] = Rollout("example", "There are three cats.", reference=CountReference(3))

    def __init__(self, thinking: Sequence[Sequence[str]] = ()) -> None:
        self._tags = with_tags(thinking)

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, with the component `count` where one was answered, or InvalidReferenceError."""
        return score_each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Score:
        truth = expect_reference(rollout, CountReference).count
        if not 0 <= truth <= MAX_COUNT:
            raise InvalidReferenceError(f"count must be 0 to {MAX_COUNT}, got {truth}")
        ordinal = False
        for pieces in places(rollout.completion, self._tags):
            counts: list[Numeral] = []
            for whole in pieces:
                piece = whole.cut(max(0, len(whole.text) - _WINDOW), len(whole.text))
                found = numerals(piece.text)
                if found is None:
                    return Score(0.0, "too_many", f"more than {MAX_NUMERALS} numbers were answered", "", piece.span)
                own = [n for n in found if not n.ordinal]
                ordinal = ordinal or len(own) < len(found)
                if len(own) > 1:
                    own = _concluded(piece.text, _without_breakdown(piece.text, own))
                for value, start, end, _ in own:
                    counts.append(Numeral(value, piece.start + start, piece.start + end))
            if counts:
                return _compare(truth, rollout.completion, counts)
        if ordinal:
            return Score(0.0, "count_ordinal", "which one was answered, and not how many")
        return unanswered(rollout, self._tags)


def _compare(truth: int, completion: str, counts: Sequence[Numeral]) -> Score:
    count, start, end, _ = counts[0]
    span, parsed = (start, end), completion[start:end]
    values = {count}
    if len(counts) > 1:
        span, parsed = (start, counts[-1].end), ", ".join([completion[n.start : n.end] for n in counts[:8]])
        values = {n.value for n in counts}
    if count is None or None in values or (len(counts) > 1 and _has_range(completion, counts)):
        return Score(0.0, "count_range", "a range, a bound or an estimate is no count", parsed, span)
    if len(values) > 1:
        return Score(0.0, "ambiguous", "different counts were answered", parsed, span)
    right = count == truth
    return Score(1.0 if right else 0.0, "ok" if right else "wrong", "", parsed, span, {"count": count})


def _without_breakdown(text: str, counts: list[Numeral]) -> list[Numeral]:
    """The counts without those in the parentheses behind the first, if they add up to it."""
    if len(counts) < 3:
        return counts
    first, second, *_ = counts
    opening = max(text.rfind(bracket, first.end, second.start) for bracket in "(（")
    closing = min((i for bracket in ")）" if (i := text.find(bracket, second.end)) >= 0), default=-1)
    if opening < 0 or _CLOSED.search(text, opening, second.start):
        return counts
    parts = [n.value for n in counts[1:] if n.end <= closing]
    if len(parts) < 2 or None in parts or sum(value or 0.0 for value in parts) != first.value:
        return counts
    return [first, *counts[1 + len(parts) :]]


def _concluded(text: str, counts: list[Numeral]) -> list[Numeral]:
    """The counts after the last conclusion that has any; all of them when they agree or nothing is concluded."""
    if len({n.value for n in counts}) <= 1:
        return counts
    start = 0
    for cue in _CONCLUSION.finditer(text, 0, counts[-1].start):
        start = cue.end()
    return [n for n in counts if n.start >= start]


def _has_range(text: str, counts: Sequence[Numeral]) -> bool:
    return any(
        b.start - a.end <= _LONGEST_RANGE and _RANGE.fullmatch(text, a.end, b.start) is not None
        for a, b in pairwise(counts)
    )
