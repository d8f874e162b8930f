"""Reads what an action is given: points, texts and numbers by name, from a JSON object or the brackets of a call."""

from __future__ import annotations

import re
from typing import NamedTuple

from rewardmesh.rewards.visual.coordinates import NUMBER, POINTS, numbers, plain_numbers, token_numbers, token_space
from rewardmesh.rewards.visual.strings import plain, quoted

MAX_TOKENS = 256  # of one action; nobody's has so many
# A name with what follows it, a string, coordinates, a number, a word, a bracket.
_TOKEN = re.compile(
    r"(?P<key>(?:\"\w{1,32}\"|'\w{1,32}'|(?<!\w)[A-Za-z_]\w{0,31})\s{0,16}+[:=](?!=))"
    rf"|(?P<text>{quoted(lines=True)})"
    rf"|(?P<place>{POINTS.pattern})"
    rf"|(?P<number>(?<![\w.]){NUMBER})"
    r"|(?P<word>(?<!\w)[^\W\d]\w{0,31})"
    r"|(?P<open>[{(])|(?P<close>[})])"
)
_STRING = 3
# Names of arguments that are texts whatever they look like, in small letters without "_".
_TEXT_NAMES = (
    "text content value message input inputtext key keys appname app package packagename option answer status"
    " goalstatus url typedtext"
)
TEXTS = frozenset(_TEXT_NAMES.split())
_PLACE_BEGINS = ("(", "[", "<")
_BEFORE_PLACE = re.compile(r"(?:[\s\[(]|<\|?\w{1,16}\|?>){0,8}+")
_NO_NAME = str.maketrans("", "", "\"'_:= \t\r\n")


class Place(NamedTuple):
    """Two or four numbers; their space and whether they are written by name are as in `Candidate`."""

    numbers: tuple[float, ...]
    space: str = ""
    named: bool = False


class Arguments:
    """What an action is given. Names are in small letters without underscores; what has none is called "".

    Attributes:
        places: Points and boxes in order.
        texts: Strings, several of one name where it is given a list.
        numbers: Numbers that are no coordinates in brackets or tags.
        words: Words without quotes.
        end: Where the arguments end in the text.
    """

    __slots__ = ("end", "numbers", "places", "texts", "words")

    def __init__(self, end: int = 0) -> None:
        self.places: list[tuple[str, Place]] = []
        self.texts: list[tuple[str, str]] = []
        self.numbers: list[tuple[str, float]] = []
        self.words: list[tuple[str, str]] = []
        self.end = end


def read_arguments(text: str, start: int, stop: int, depth: int = 0) -> Arguments:
    """The arguments that begin there.

    Args:
        text: A piece of a completion.
        start: Where to begin.
        stop: Where to end at the latest, exclusive.
        depth: How many brackets are already open; the reading ends when all are closed.
    """
    read = Arguments(start)
    name = ""
    token = None
    for count, token in enumerate(_TOKEN.finditer(text, start, stop)):
        match token.lastgroup:
            case "key":
                name = token[0].translate(_NO_NAME).lower()
            case "text":
                string = plain(token, _STRING)
                place = place_in(string) if string[:1] in _PLACE_BEGINS and name not in TEXTS else None
                if place:
                    read.places.append((name, place))
                else:
                    read.texts.append((name, string))
            case "place":
                if place := _place(token):
                    read.places.append((name, place))
            case "number":
                read.numbers.append((name, float(token[0])))
            case "word":
                read.words.append((name, token[0]))
            case "open":
                depth += 1
            case _:
                depth -= 1
                if depth <= 0:
                    break
        if count >= MAX_TOKENS:
            break
    if token:
        read.end = token.end()
    return read


def place_in(text: str) -> Place | None:
    """The first point or box in a text that begins with it."""
    match = POINTS.search(text)
    return _place(match) if match and _BEFORE_PLACE.fullmatch(text, 0, match.start()) else None


def _place(match: re.Match[str]) -> Place | None:
    if match["plain"]:
        return Place(plain_numbers(match["plain"]))
    if match["tokens"]:
        found = token_numbers(match["tokens"])
        return Place(found[0], token_space(match["tokens"])) if len(found) == 1 else None
    return None if match["many"] else Place(numbers(match[0]), named=match[0][0] in "xX")
