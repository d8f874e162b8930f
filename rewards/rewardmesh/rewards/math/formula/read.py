r"""Reads a formula: a scalar, a list of scalars in brackets, a set of reals, a relation or a matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

from rewardmesh.rewards.math.formula.nouns import (
    End,
    Equation,
    Formula,
    Infinity,
    Interval,
    Items,
    Matrix,
    Ratio,
    Reals,
    Scalar,
    value_of,
)
from rewardmesh.rewards.math.formula.scalar import UnreadableError, read_scalar
from rewardmesh.rewards.math.formula.value import Value, constant, product, total
from rewardmesh.rewards.math.number import read_number

__all__ = ["difference_of", "read_formula"]

# Formulas of the last few groups; one takes a few KB.
_REMEMBERED = 2048
_MAX_ITEMS = 64
_ORDER = re.compile(r"<|>|\\(?:le|ge|lt|gt)(?![a-zA-Z])")
_RELATION = re.compile(r"<|>|=|\\(?:le|ge|lt|gt|ne|in|equiv|approx|subset|notin|sim)(?![a-zA-Z])")
_NESTED = re.compile(rf"(?P<bracket>[(){{}}\[\]])|{_RELATION.pattern}")
_BELOW = ("<", r"\lt", r"\le")
_CUP = re.compile(r"\\cup(?![a-zA-Z])")
_OR = re.compile(r"\\lor(?![a-zA-Z])|\\text\{or\}|(?<![A-Za-z])or(?![A-Za-z])|或")
_NAME = re.compile(r"[A-Za-z](?:_(?:\w|\{\w{1,8}\}))?|\\(?!infty)[a-zA-Z]+")
# What an inequality may be about.
_BOUNDED = re.compile(rf"{_NAME.pattern}|[A-Za-z]\([A-Za-z]\)")
_DENOTED = re.compile(r"(?:[A-Za-z: ]|\\frac|\\angle|[{}]|_\{?\w+)+")
_MEMBER = re.compile(rf"({_NAME.pattern})\\in(?![a-zA-Z])(.+)")
_INFINITE = re.compile(r"([+-]?)\\infty")
_EVERYTHING = re.compile(r"\\(?:mathbb|text|mathbf)\{?R\}?|\\R")
_MATRIX = re.compile(r"\\begin\{([pbBvV]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_SEPARATOR = re.compile(r"[,;(){}\[\]]")
_PAIRS = {"(": ")", "[": "]", r"\{": r"\}"}


@lru_cache(maxsize=_REMEMBERED)
def read_formula(text: str) -> Formula | None:
    """The formula a canonical text is; None where it is none that is read here."""
    try:
        return _formula(text)
    except (UnreadableError, RecursionError):
        return None


def difference_of(equation: Equation, given: Mapping[str, Value]) -> Value:
    """The difference of its sides with values for some of its symbols. Raises UnreadableError."""
    left, right = (read_scalar(side, given) for side in equation.sides)
    return total([left, product([constant(Fraction(-1)), right])])


def _formula(text: str) -> Formula:
    text = text.strip()
    if match := _MATRIX.fullmatch(text):
        return _matrix(match[2])
    if _EVERYTHING.fullmatch(text):
        return Reals((Interval(Infinity.BELOW, Infinity.ABOVE, False, False),))
    if _OR.search(text):
        return _union(_OR.split(text), of_relations=True)
    if match := _MEMBER.fullmatch(text):
        return Reals(_intervals(_formula(match[2])).intervals, match[1])
    if _CUP.search(text):
        return _union(_CUP.split(text), of_relations=False)
    pieces = _split(text)
    if len(pieces) > 1 or (r"\pm" in text and not text.startswith((*_PAIRS, "{"))):
        return Items("", "", tuple(item for piece in pieces for item in _alternatives(piece)))
    if relations := _relations(text):
        return _relation(text, relations)
    if text.count(":") > 1:
        return _ratio(text)
    if text.startswith("{") and text.endswith("}") and _balanced(text[1:-1]) and len(_split(text[1:-1])) > 1:
        return _formula(text[1:-1])
    if enclosed := _enclosed(text):
        return enclosed
    return _scalar(text)


def _scalar(text: str) -> Scalar:
    number = read_number(text)
    return Scalar(None, number) if number else Scalar(read_scalar(text))


def _alternatives(text: str) -> list[Formula]:
    r"""The one item a piece of a list is, or the two that "1\pm\sqrt{2}" stands for."""
    if r"\mp" in text or text.count(r"\pm") > 1:
        raise UnreadableError("several signs to choose")
    if r"\pm" in text:
        return [_formula(text.replace(r"\pm", sign)) for sign in ("+", "-")]
    return [_formula(text)]


def _split(text: str) -> list[str]:
    """The pieces between commas, or between semicolons, that no bracket encloses."""
    commas: list[int] = []
    semicolons: list[int] = []
    depth = 0
    for mark in _SEPARATOR.finditer(text):
        if mark[0] in "({[":
            depth += 1
        elif mark[0] in ")}]":
            depth -= 1
        elif depth == 0:
            (commas if mark[0] == "," else semicolons).append(mark.start())
    ends = semicolons or commas
    if len(ends) > _MAX_ITEMS:
        raise UnreadableError("too many items")
    pieces = [text[a + 1 : b].strip() for a, b in zip([-1, *ends], [*ends, len(text)], strict=True)]
    if len(pieces) > 1 and any(re.fullmatch(r"\d{3}(?!\d).*", piece) for piece in pieces[1:]) and not semicolons:
        raise UnreadableError("a list, or thousands")
    return pieces


def _enclosed(text: str) -> Formula | None:
    """What one pair of brackets around all of the text holds."""
    for opening in _PAIRS:
        if not text.startswith(opening):
            continue
        closing = next((c for c in _PAIRS.values() if text.endswith(c)), "")
        inner = text[len(opening) : -len(closing)] if closing else ""
        if not closing or not _balanced(inner):
            return None
        if opening == r"\{" and not inner:
            return Reals(())
        pieces = _split(inner)
        if (opening == r"\{") != (closing == r"\}"):
            raise UnreadableError("mixed brackets")
        if opening != r"\{" and len(pieces) == 1:
            return _formula(inner) if r"\pm" not in inner and not _RELATION.search(inner) else None
        if len(pieces) == 2 and any(_INFINITE.fullmatch(piece) for piece in pieces):
            return Reals((_interval(opening, closing, *(_end(piece) for piece in pieces)),))
        alternatives = [item for piece in pieces for item in _alternatives(piece)]
        if opening != r"\{" and len(alternatives) != len(pieces):
            raise UnreadableError("a sign to choose in a tuple")
        return Items(opening, closing, tuple(alternatives))
    return None


def _balanced(text: str) -> bool:
    """Whether no bracket in the text closes one that opens before it. Any closing bracket closes: (1,2] is balanced."""
    depth = 0
    for character in text:
        depth += (character in "({[") - (character in ")}]")
        if depth < 0:
            return False
    return depth == 0


def _relations(text: str) -> list[re.Match[str]]:
    """The signs of relation that no bracket encloses."""
    found: list[re.Match[str]] = []
    depth = 0
    for mark in _NESTED.finditer(text) if _RELATION.search(text) else ():
        if bracket := mark["bracket"]:
            depth += 1 if bracket in "({[" else -1
        elif depth == 0:
            found.append(mark)
    return found


def _relation(text: str, marks: list[re.Match[str]]) -> Formula:
    sides = [
        text[a:b].strip()
        for a, b in zip([0, *[m.end() for m in marks]], [*[m.start() for m in marks], len(text)], strict=True)
    ]
    signs = [mark[0] for mark in marks]
    if signs == ["="] and sides[0].count(":") > 1 and _DENOTED.fullmatch(sides[0]):
        return _ratio(sides[1])
    if signs == ["="]:
        symbols, right_symbols = set[str](), set[str]()
        left, right = read_scalar(sides[0], seen=symbols), read_scalar(sides[1], seen=right_symbols)
        name = sides[0] if symbols == {sides[0]} and sides[0] not in right_symbols else ""
        difference = total([left, product([constant(Fraction(-1)), right])])
        denotes = bool(name or _DENOTED.fullmatch(sides[0]))
        return Equation((sides[0], sides[1]), difference, right, name, denotes, frozenset(symbols | right_symbols))
    if signs == [r"\ne"] and _NAME.fullmatch(sides[0]):
        hole = _end(sides[1])
        low, high = Interval(Infinity.BELOW, hole, False, False), Interval(hole, Infinity.ABOVE, False, False)
        return Reals((low, high), sides[0])
    if all(_ORDER.fullmatch(sign) for sign in signs):
        return _inequality(sides, signs)
    raise UnreadableError("a relation of an unusual kind")


def _inequality(sides: list[str], signs: list[str]) -> Reals:
    upward = [sign in _BELOW for sign in signs]
    if len(set(upward)) != 1 or len(signs) > 2:
        raise UnreadableError("a chain of relations")
    if not upward[0]:
        sides, signs = sides[::-1], signs[::-1]
    closed = [sign in (r"\le", r"\ge") for sign in signs]
    if len(signs) == 2:
        low, name, high = _end(sides[0]), sides[1], _end(sides[2])
        interval = Interval(low, high, *closed)
    elif (_BOUNDED.fullmatch(sides[0]) or sides[0].startswith("|")) and not _NAME.fullmatch(sides[1]):
        name, interval = sides[0], Interval(Infinity.BELOW, _end(sides[1]), False, closed[0])
    else:
        name, interval = sides[1], Interval(_end(sides[0]), Infinity.ABOVE, closed[0], False)
    if name.startswith("|") and name.endswith("|") and _NAME.fullmatch(name[1:-1]):
        return Reals(_mirrored(interval), name[1:-1])
    if not _BOUNDED.fullmatch(name) or r"\pi" in name:
        raise UnreadableError("an inequality about more than a variable")
    return Reals((interval,), name)


def _mirrored(interval: Interval) -> tuple[Interval, ...]:
    """Where a number lies whose magnitude is in the interval."""
    low, high = interval.low, interval.high
    opposite = Infinity.BELOW if isinstance(high, Infinity) else product([constant(Fraction(-1)), high])
    if isinstance(low, Infinity):
        return (Interval(opposite, high, interval.high_in, interval.high_in),)
    if low.exact is None or low.exact < 0:
        raise UnreadableError("a magnitude that may be negative")
    negative = product([constant(Fraction(-1)), low])
    return (Interval(opposite, negative, interval.high_in, interval.low_in), interval)


def _ratio(text: str) -> Ratio:
    return Ratio(tuple(_value(_scalar(term.strip())) for term in text.split(":")))


def _union(parts: list[str], of_relations: bool) -> Reals:
    sets = [_intervals(_formula(part)) for part in parts]
    names = {found.variable for found in sets}
    if len(names) > 1 or (of_relations and "" in names):  # "(1,2) or (3,4)" are points
        raise UnreadableError("several variables")
    return Reals(tuple(interval for found in sets for interval in found.intervals), names.pop())


def _intervals(formula: Formula) -> Reals:
    """A formula as a set of reals: an interval, or a set of numbers."""
    if isinstance(formula, Reals):
        return formula
    if not isinstance(formula, Items):
        raise UnreadableError("no set of numbers")
    ends = [_value(item) for item in formula.items]
    if formula.opening == r"\{":
        return Reals(tuple(Interval(end, end, True, True) for end in ends))
    if len(ends) != 2 or not formula.opening:
        raise UnreadableError("no set of numbers")
    return Reals((_interval(formula.opening, formula.closing, *ends),))


def _interval(opening: str, closing: str, low: End, high: End) -> Interval:
    if opening not in ("(", "[") or closing not in (")", "]"):
        raise UnreadableError("no interval")
    # an infinite end never belongs to it, whatever its bracket
    low_in, high_in = (
        not isinstance(end, Infinity) and bracket in "[]" for end, bracket in ((low, opening), (high, closing))
    )
    return Interval(low, high, low_in, high_in)


def _end(text: str) -> End:
    if match := _INFINITE.fullmatch(text):
        return Infinity.BELOW if match[1] == "-" else Infinity.ABOVE
    return _value(_scalar(text))


def _value(formula: Formula) -> Value:
    if not isinstance(formula, Scalar):
        raise UnreadableError("no scalar")
    return value_of(formula)


def _matrix(text: str) -> Matrix:
    rows = [row for row in text.split(r"\\") if row.strip()]
    read = tuple(tuple(_scalar(cell.strip()) for cell in row.split("&")) for row in rows)
    if not read or len({len(row) for row in read}) != 1:
        raise UnreadableError("rows of different lengths")
    return Matrix(read)
