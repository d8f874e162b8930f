"""Reads a reference answer once, so that every completion of its group is compared with the same reading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rewardmesh.contract import InvalidReferenceError
from rewardmesh.rewards.math.compare import Expression, UnparsableError, equal, parse
from rewardmesh.rewards.math.extract import answers
from rewardmesh.rewards.math.guard import MAX_LENGTH, objection
from rewardmesh.rewards.math.latex import canonical, plain, words
from rewardmesh.rewards.math.number import Number, read_number
from rewardmesh.rewards.math.unit import split_unit

# The prompts of a training step many times over; a parsed reference takes a few KB.
_REMEMBERED = 4096
_LETTER = re.compile(r"\(?([A-J])\)?")
_BASED = re.compile(r"\(?([0-9A-Z]+)\)?_(?:\{(\d+)\}|(\d))")
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")  # not a ratio
# x, f(x), x_1, |AB|, P(A): what an answer may be called.
_NAMED = re.compile(r"(\\?[A-Za-z]+'?(?:_\{\w+\}|_\w)?(?:\(\w+\))?|\|[A-Za-z]+\|)=([^=<>]+)")


@dataclass(frozen=True, slots=True)
class Gold:
    r"""A reference answer.

    Attributes:
        text: Its canonical text.
        value: The text without its unit, and without "x=" where it gives a name a constant value.
        unit: Its unit, normalised; "" for none.
        name: The name it gives a value to; "" for none.
        letter: The choice it is, if it may be one; else "".
        based: Digits and base, where it is a number like 204_5.
        number: Its exact value, where it is a plain number.
        expression: The parsed value; None where it is prose.
    """

    text: str
    value: str
    unit: str = ""
    name: str = ""
    letter: str = ""
    based: tuple[str, str] | None = None
    number: Number | None = None
    expression: Expression | None = None


@lru_cache(maxsize=_REMEMBERED)
def read_gold(reference: str) -> Gold:
    """Reads one of a MathReference's answers.

    Raises:
        InvalidReferenceError: It is empty, too long or too costly to compute with, or is neither a formula nor words.
    """
    text = canonical(_out_of_box(reference))
    if not text:
        raise InvalidReferenceError(f"the answer {reference!r} is empty")
    if why := "too_long" if len(text) > MAX_LENGTH else objection(text):
        raise InvalidReferenceError(f"the answer {reference!r:.200} cannot be used: {why}")
    letter = _LETTER.fullmatch(plain(text))
    based = read_based(text)
    value, unit = split_unit(text)
    if words(value) or _CLOCK.fullmatch(value):
        return Gold(text, value, unit)
    number = read_number(value.removesuffix(r"^\circ"))
    if number or based:
        return Gold(text, value, unit, based=based, number=number)
    expression = _parse(reference, value)
    name = ""
    if match := _NAMED.fullmatch(value):
        right = _parse(reference, match[2])
        if not right.free_symbols:
            name, value, expression = match[1], match[2], right
            number = read_number(value)
    return Gold(text, value, unit, name, letter[1] if letter else "", None, number, expression)


def read_based(text: str) -> tuple[str, str] | None:
    """Digits and base of a canonical text like 204_5 or 1F_{16}, or None."""
    match = _BASED.fullmatch(text)
    return (match[1], match[2] or match[3]) if match and match[1].isalnum() and match[1][0].isdigit() else None


def _out_of_box(reference: str) -> str:
    r"""Some data sets give the worked solution with its \boxed{} as the truth."""
    if r"\boxed" not in reference and r"\fbox" not in reference:
        return reference
    reference = reference.replace(r"\\boxed", r"\boxed").replace(r"\\fbox", r"\fbox")  # escaped once too often
    return ",".join(answer.text for answer in answers(reference)) or reference


def _parse(reference: str, text: str) -> Expression:
    try:
        expression = parse(text)
        if not equal(expression, expression):
            raise UnparsableError("it does not equal itself")
    except UnparsableError as error:
        raise InvalidReferenceError(f"the answer {reference!r:.200} cannot be read: {error!s:.200}") from None
    return expression
