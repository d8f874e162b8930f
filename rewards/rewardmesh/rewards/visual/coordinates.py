"""The shapes in which models write coordinates, as regular expressions that never backtrack far.

Every quantifier is possessive or bounded, and every shape begins with one of a few characters, so that a text is
skipped at the speed of C until one of them comes.
"""

from __future__ import annotations

import re

# Digits are bounded: no coordinate has more, and repr(float) needs 22 at most. What follows keeps out the 1 of "1st".
NUMBER = (
    r"(?:[-+]?(?:\d{1,24}+(?:\.\d{0,24}+)?+|\.\d{1,24}+)(?:[eE][-+]?\d{1,3}+)?+(?![\w.])"
    r"|[-+]?(?ai:nan|inf(?:inity)?)\b)"
)
_QUOTE = r"[\"']?"
_SEPARATOR = rf"(?:{_QUOTE}\s*+[,，;]\s*+{_QUOTE}|\s++)"
_TWO = rf"{NUMBER}{_SEPARATOR}{NUMBER}"
_FOUR = rf"{_TWO}{_SEPARATOR}{_TWO}"
_INNER = rf"\s*+{_QUOTE}"  # what may follow an opening bracket
_END = rf"{_QUOTE}\s*+(?:,\s*+)?[\])]"  # a list may end in a comma
_PAIR = rf"[\[(]{_INNER}{_TWO}{_END}"
_CORNERS = rf"{_PAIR}\s*+[,，]?\s*+{_PAIR}"  # (x1,y1),(x2,y2)
_BOX_TAG = r"\|?(?i:b?box)(?:_start|_2d)?\|?>\s*+"  # what follows its first character; likewise below
_POINT_TAG = r"\|?(?i:points?)(?:_start)?\|?>\s*+"
_AFTER_KEY = r"(?:_?(?:\d{1,3}|min|max))?[\"']?\s*+[:=]\s*+[\"']?"  # x=1, "x_min": 1, x1="1"
_AND = r"[\"']?[\s,，]*+[\"']?"
_KEYED = rf"{_AFTER_KEY}{NUMBER}{_AND}(?<!\w)[yY]{_AFTER_KEY}{NUMBER}"
_KEYED_CORNERS = rf"{_KEYED}{_AND}(?<!\w)[xX]{_KEYED}"
_TOKENS = r"loc_?\d{1,4}>(?:\s?<loc_?\d{1,4}>)*+"  # PaliGemma, Florence-2
_MANY = r"(?i:points)\s[^<>]{1,8192}+>"  # Molmo's <points x1="1" y1="2" x2="3" y2="4" alt="cats">


def _shapes(bracketed: str, tagged: str, keyed: str) -> re.Pattern[str]:
    """A pattern whose alternatives are chosen by the character that each begins with."""
    return re.compile(
        rf"[\[(<xX](?:(?<=[\[(])(?:{bracketed})"
        rf"|(?<=<)(?:(?P<tokens>{_TOKENS})|(?P<many>{_MANY})|{tagged})"
        rf"|(?<=[xX])(?<!\w[xX])(?:{keyed}))"
    )


# Numbers with nothing but commas between them, which are read fastest.
_DECIMAL = r"-?\d{1,24}+(?:\.\d{1,24}+)?+"
BOXES = _shapes(
    rf"(?P<plain>{_DECIMAL}(?:,\s*+{_DECIMAL}){{3}})[\])]"
    rf"|{_INNER}{_TWO}(?:{_SEPARATOR}{_TWO}{_END}|{_END}\s*+[,，]?\s*+{_PAIR})",
    rf"{_BOX_TAG}{_FOUR}",
    _KEYED_CORNERS,
)
# A bare pair of tuples is two points here; only a tag makes it the corners of a box.
POINTS = _shapes(
    rf"(?P<plain>{_DECIMAL},\s*+{_DECIMAL}(?:(?:,\s*+{_DECIMAL}){{2}})?)[\])]|{_INNER}(?:{_FOUR}|{_TWO}){_END}",
    rf"{_BOX_TAG}(?:{_CORNERS}|{_FOUR}|{_TWO})|{_POINT_TAG}{_TWO}",
    rf"{_KEYED_CORNERS}|{_KEYED}",
)
BARE = re.compile(rf"(?:{_FOUR}|{_TWO})")  # an answer of nothing but numbers
_NUMBERS = re.compile(rf"(?<![\w.]){NUMBER}")
_TOKEN = re.compile(r"\d{1,4}")
_KEYED_POINTS = re.compile(rf"(?<!\w)[xX]{_KEYED}")


def plain_numbers(text: str) -> tuple[float, ...]:
    """The numbers of a group `plain`."""
    return tuple(map(float, text.split(",")))


def numbers(text: str) -> tuple[float, ...]:
    """The numbers in a text of one of the shapes; the digits of its keys and tags are none."""
    return tuple(map(float, _NUMBERS.findall(text)))


def token_numbers(text: str) -> list[tuple[float, ...]]:
    """The boxes, or else the one point, in a run of location tokens; empty where their number fits neither."""
    found = tuple(map(float, _TOKEN.findall(text)))
    if len(found) == 2:
        return [found]
    return [] if len(found) % 4 else [found[i : i + 4] for i in range(0, len(found), 4)]


def token_space(text: str) -> str:
    """The space of location tokens: Florence-2 writes <loc_300>, PaliGemma <loc0300>."""
    return "relative_1000" if "_" in text else "loc_1024"


def many_points(text: str) -> list[tuple[float, ...]]:
    """The points in Molmo's tag for several."""
    return [numbers(match[0]) for match in _KEYED_POINTS.finditer(text)]
