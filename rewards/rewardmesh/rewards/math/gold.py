"""Reads a reference answer once, so that every completion of its group is compared with the same reading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rewardmesh.contract import InvalidReferenceError
from rewardmesh.rewards.answer import Answer, boxed
from rewardmesh.rewards.math.compare import Expression, UnparsableError, equal, parse
from rewardmesh.rewards.math.extract import answers
from rewardmesh.rewards.math.formula.nouns import Scalar
from rewardmesh.rewards.math.formula.read import read_formula
from rewardmesh.rewards.math.guard import MAX_LENGTH, objection
from rewardmesh.rewards.math.latex import canonical, plain, words
from rewardmesh.rewards.math.number import Number, is_spelt_number, read_number
from rewardmesh.rewards.math.unit import split_unit

# The prompts of a training step many times over; a parsed reference takes a few KB.
_REMEMBERED = 4096
# A reference with this many words is no answer but a solution that states one.
_SOLUTION = 8
# What separates two boxes of one: a unit, "and", the next box.
_MAX_BETWEEN = 4
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
        prose: Whether it is words, which are compared as such.
    """

    text: str
    value: str
    unit: str = ""
    name: str = ""
    letter: str = ""
    based: tuple[str, str] | None = None
    number: Number | None = None
    prose: bool = False


@lru_cache(maxsize=_REMEMBERED)
def read_gold(reference: str) -> Gold:
    """Reads one of a MathReference's answers.

    Raises:
        InvalidReferenceError: It is empty, too long or too costly to compute with, or is neither a formula nor words.
    """
    text = canonical(_stated(reference))
    if not text:
        raise InvalidReferenceError(f"the answer {reference!r} is empty")
    if why := "too_long" if len(text) > MAX_LENGTH else objection(text):
        raise InvalidReferenceError(f"the answer {reference!r:.200} cannot be used: {why}")
    if is_spelt_number(text):
        return Gold(text, text, number=read_number(text))  # most references
    letter = _LETTER.fullmatch(plain(text))
    based = read_based(text)
    value, unit = split_unit(text)
    if words(value) or _CLOCK.fullmatch(value):
        return Gold(text, value, unit, prose=True)
    number = read_number(value.removesuffix(r"^\circ"))
    if number or based:
        return Gold(text, value, unit, based=based, number=number)
    if read_formula(value) is None:
        expression(value)  # one that cannot be read at all is refused here, whatever the answers are
    name = ""
    if (match := _NAMED.fullmatch(value)) and _is_constant(match[2]):
        name, value = match[1], match[2]
        number = read_number(value)
    return Gold(text, value, unit, name, letter[1] if letter else "", None, number)


@lru_cache(maxsize=_REMEMBERED)
def expression(reference: str) -> Expression:
    """What latex2sympy reads in a reference's canonical value.

    Raises:
        InvalidReferenceError: It cannot be read.
    """
    try:
        return parse(reference)
    except UnparsableError as error:
        raise InvalidReferenceError(f"the answer {reference!r:.200} cannot be read: {error!s:.200}") from None


def comparable(reference: Expression) -> None:
    """Raises InvalidReferenceError where a reference cannot even be compared with itself."""
    try:
        if equal(reference, reference):
            return
        why = "it does not equal itself"
    except UnparsableError as error:
        why = str(error)
    raise InvalidReferenceError(f"the answer {reference!s:.200} cannot be compared: {why:.200}")


def read_based(text: str) -> tuple[str, str] | None:
    """Digits and base of a canonical text like 204_5 or 1F_{16}, or None."""
    match = _BASED.fullmatch(text)
    return (match[1], match[2] or match[3]) if match and match[1].isalnum() and match[1][0].isdigit() else None


def _stated(reference: str) -> str:
    r"""The answer a reference states: some data sets give a worked solution, with a \boxed{} or last words for it."""
    if r"\boxed" in reference or r"\fbox" in reference:
        reference = reference.replace(r"\\boxed", r"\boxed").replace(r"\\fbox", r"\fbox")  # escaped once too often
    elif len(words(reference)) < _SOLUTION:
        return reference
    found = answers(reference)
    if len(found) == 1 and len(words(reference)) < _SOLUTION:
        found = (*_boxes_before(reference, found[0]), *found)  # "\boxed{1} papers and \boxed{2} bins"
    return ",".join(answer.text for answer in found) or reference


def _boxes_before(reference: str, last: Answer) -> list[Answer]:
    """The boxes before the last one that few words separate from it, and from one another."""
    found: list[Answer] = []
    end = last.start - len("{")
    while (box := boxed(Answer(reference[:end], 0, end))) and len(reference[box.end : end].split()) <= _MAX_BETWEEN:
        found.insert(0, box)
        end = box.start - len("{")
    return found


def _is_constant(text: str) -> bool:
    """Whether a right side has no variable in it."""
    formula = read_formula(text)
    if isinstance(formula, Scalar):
        return formula.value is None or formula.value.constant
    return not expression(text).free_symbols
