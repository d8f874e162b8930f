"""Reads boxes and points out of a completion, in the numbers and the order the model wrote.

No JSON parser and no `eval`: coordinates are short runs of numbers in brackets, tags or key-value pairs, and are found
as such whatever stands around them. Broken JSON, single quotes, apostrophes in labels and cut-off lists do not matter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rewardmesh.rewards.answer import Answer, Tags
from rewardmesh.rewards.visual.coordinates import (
    BARE,
    BOXES,
    POINTS,
    many_points,
    numbers,
    plain_numbers,
    token_numbers,
    token_space,
)
from rewardmesh.rewards.visual.labels import labels
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.sides import last_run

MAX_CANDIDATES = 256  # one more is read, so that the caller can tell "too many"
_LONGEST_LABEL = 256  # characters of what stands beside location tokens
_BEHIND_TOKENS = re.compile(rf"([^<>{{}}\"\n;]{{0,{_LONGEST_LABEL}}}+)")
_BEFORE_TOKENS = re.compile(r"[<>{}\"\n;]")


class Candidate(NamedTuple):
    """A box (four numbers) or a point (two) as the model wrote it.

    Attributes:
        numbers: Finite or not, in the model's space and order.
        start: Where it begins in the completion.
        end: Where it ends, exclusive.
        label: What the model says is there, without quotes and escapes; empty where it does not say.
        space: The kind of answer space that its format has by nature, because it is written in tokens of a vocabulary:
            "loc_1024" (PaliGemma) or "relative_1000" (Florence-2). Empty for numbers, which do not say.
        named: Its numbers are written by name (x=1, y=2): they are in that order, whatever a space's order is.
    """

    numbers: tuple[float, ...]
    start: int
    end: int
    label: str = ""
    space: str = ""
    named: bool = False


def boxes(completion: str, tags: Tags, several: bool = True, labelled: bool = True) -> list[Candidate]:
    """The boxes answered, at most one more than `MAX_CANDIDATES`; empty when there are none.

    Args:
        completion: The policy's text.
        tags: What opens and closes thinking.
        several: All boxes of the final answer are meant, whatever is said between them. Otherwise a box replaces those
            before it when something is said between the two: a sentence, a correction, a conclusion.
        labelled: Whether the labels matter. Otherwise they may be left empty.
    """
    return _first_place(completion, tags, BOXES, several, labelled)


def points(completion: str, tags: Tags, labelled: bool = True) -> list[Candidate]:
    """The points answered, and the boxes answered instead, at most one more than `MAX_CANDIDATES`.

    A point replaces those before it when something is said between the two. The labels may be left empty where they do
    not matter.
    """
    return _first_place(completion, tags, POINTS, False, labelled)


def _first_place(
    completion: str, tags: Tags, shapes: re.Pattern[str], several: bool, labelled: bool
) -> list[Candidate]:
    for pieces in places(completion, tags, to_end=True):
        found = _scan(pieces[0], shapes, MAX_CANDIDATES + 1, labelled)
        for piece in pieces[1:]:
            found += _scan(piece, shapes, MAX_CANDIDATES + 1 - len(found), labelled)
        if found:
            return found if several or len(found) == 1 or len(found) > MAX_CANDIDATES else last_run(completion, found)
    return []


def _scan(piece: Answer, shapes: re.Pattern[str], most: int, labelled: bool) -> list[Candidate]:
    text, offset = piece.text, piece.start
    found: list[Candidate] = []
    for match in shapes.finditer(text):
        start, end = match.span()
        kind = match.lastgroup
        if kind == "plain":  # most of them
            found.append(Candidate(plain_numbers(match[kind]), start + offset, end + offset))
        elif kind is None:
            written = match[0]
            found.append(Candidate(numbers(written), start + offset, end + offset, named=written[0] in "xX"))
        elif kind == "tokens":
            if groups := token_numbers(match[0]):
                space = token_space(match[0])
                label = _token_label(text, start, end, space)
                found += [Candidate(group, start + offset, end + offset, label, space) for group in groups]
        elif shapes is POINTS:  # several points make no box
            found += [Candidate(two, start + offset, end + offset, named=True) for two in many_points(match[0])]
        if len(found) >= most:
            break
    if not found:
        bare = BARE.fullmatch(text)
        values = numbers(text) if bare else ()
        return [Candidate(values, offset, piece.end)] if len(values) == 4 or (values and shapes is POINTS) else []
    del found[most:]
    if len(found) == 1 and not labelled:  # what stands alone counts, even in a label
        return found
    given = labels(text, [(one.start - offset, one.end - offset) for one in found])
    if not given:
        return found
    return [
        Candidate(one.numbers, one.start, one.end, one.label or label, one.space, one.named)
        for one, label in zip(found, given, strict=True)
        if label is not None
    ] or found


def _token_label(text: str, start: int, end: int, space: str) -> str:
    """The text before location tokens (Florence-2), or else the text behind them (PaliGemma)."""
    if space != "loc_1024":
        before = _BEFORE_TOKENS.split(text[max(0, start - _LONGEST_LABEL) : start])[-1].strip()
        if before:
            return before
    behind = _BEHIND_TOKENS.match(text, end)
    return behind[1].strip() if behind else ""
