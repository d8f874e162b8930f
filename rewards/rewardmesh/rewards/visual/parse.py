"""Reads boxes and points out of a completion, in the numbers and the order the model wrote.

No JSON parser and no `eval`: coordinates are short runs of numbers in brackets, tags or key-value pairs, and are found
as such whatever stands around them. Broken JSON, single quotes, apostrophes in labels and cut-off lists do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from rewardmesh.rewards.answer import Answer
from rewardmesh.rewards.visual.places import places

MAX_CANDIDATES = 256  # one more is read, so that the caller can tell "too many"

# Digits are bounded: no coordinate has more, and repr(float) needs 22 at most. \b keeps out the 1 of "x1".
_N = r"[-+]?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:e[-+]?\d{1,3})?(?![\w.])|[-+]?(?:nan|inf(?:inity)?)\b"
_NUMBER = re.compile(rf"(?<![\w.])(?:{_N})", re.IGNORECASE)
_SEP = r"(?:\s*+[,，;]\s*+|\s++)"
_TWO = rf"(?:{_N}){_SEP}(?:{_N})"
_FOUR = rf"{_TWO}{_SEP}{_TWO}"
_TUPLE2 = rf"[\[(]\s*+{_TWO}\s*+[\])]"
_TUPLE4 = rf"[\[(]\s*+{_FOUR}\s*+[\])]"
_CORNERS = rf"{_TUPLE2}\s*+[,，]?\s*+{_TUPLE2}"  # (x1,y1),(x2,y2)
_LOCATIONS = r"(?:<loc_?\d{1,4}>)++"  # PaliGemma, Florence-2
_BOX_TAG = r"<\|?(?:box|box_start|bbox)\|?>\s*+"
_POINT_TAG = r"<\|?(?:point|point_start)\|?>\s*+"
_TAGGED = rf"(?:{_BOX_TAG}{_FOUR}|(?:{_POINT_TAG}|{_BOX_TAG}){_TWO})"  # <box>1 2 3 4</box>, <point>1 2</point>
# x=1, y=2 and "x_min": 1, "y_min": 2 and <point x="1" y="2">
_EQUALS = r"(?:\d{1,3}|_?min|_?max)?[\"']?\s*+[:=]\s*+[\"']?"
_KEYED2 = rf"\bx{_EQUALS}(?:{_N})[\"']?[\s,]*+[\"']?\by{_EQUALS}(?:{_N})"
_KEYED4 = rf"{_KEYED2}[\"']?[\s,]*+[\"']?{_KEYED2}"

_BOXES = re.compile(f"{_TUPLE4}|{_CORNERS}|{_LOCATIONS}|{_TAGGED}|{_KEYED4}", re.IGNORECASE)
# A bare pair of tuples is two points here; only a tag makes it the corners of a box.
_POINTS = re.compile(
    f"{_BOX_TAG}{_CORNERS}|{_TUPLE4}|{_TUPLE2}|{_LOCATIONS}|{_TAGGED}|{_KEYED2}",
    re.IGNORECASE,
)
_BARE = re.compile(rf"(?:{_FOUR}|{_TWO})", re.IGNORECASE)  # nothing but numbers
_LOCATION = re.compile(r"\d{1,4}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box (four numbers) or a point (two) as the model wrote it.

    Attributes:
        numbers: Finite or not, in the model's space and order.
        start: Where it begins in the completion.
        end: Where it ends, exclusive.
    """

    numbers: tuple[float, ...]
    start: int
    end: int


def boxes(completion: str) -> list[Candidate]:
    """The boxes answered, at most one more than `MAX_CANDIDATES`; empty when there are none."""
    return _first_place(completion, _BOXES, sizes=(4,))


def points(completion: str) -> list[Candidate]:
    """The points answered, and the boxes answered instead, at most one more than `MAX_CANDIDATES`."""
    return _first_place(completion, _POINTS, sizes=(2, 4))


def _first_place(completion: str, shapes: re.Pattern[str], sizes: tuple[int, ...]) -> list[Candidate]:
    for pieces in places(completion, to_end=True):
        candidates = chain.from_iterable(_scan(piece, shapes) for piece in pieces)
        found = [c for c in islice(candidates, MAX_CANDIDATES + 1) if len(c.numbers) in sizes]
        if found:
            return found
    return []


def _scan(piece: Answer, shapes: re.Pattern[str]) -> Iterator[Candidate]:
    bare = _BARE.fullmatch(piece.text)
    for match in [bare] if bare else shapes.finditer(piece.text):
        start, end = piece.start + match.start(), piece.start + match.end()
        if match[0].lower().startswith("<loc"):
            numbers = tuple(float(n) for n in _LOCATION.findall(match[0]))
            if len(numbers) % 4 == 0:  # several boxes may stand side by side
                for i in range(0, len(numbers), 4):
                    yield Candidate(numbers[i : i + 4], start, end)
            elif len(numbers) == 2:
                yield Candidate(numbers, start, end)
        else:
            yield Candidate(tuple(float(n) for n in _NUMBER.findall(match[0])), start, end)
