"""Compares equations: one is another rearranged, or is certainly not."""

from __future__ import annotations

from fractions import Fraction

from rewardmesh.rewards.math.formula.nouns import Equation
from rewardmesh.rewards.math.formula.read import difference_of
from rewardmesh.rewards.math.formula.value import (
    UnreadableError,
    Value,
    constant,
    nonzero,
    product,
    proportional,
    raised,
    rooted,
    same,
    total,
)

__all__ = ["equations"]

# Unknowns to solve for, one after the other.
_MAX_UNKNOWNS = 3


def equations(gold: Equation, answer: Equation) -> bool | None:
    """Whether one equation is the other, rearranged; None where that is not certain."""
    if gold.name and answer.name:
        if gold.name == answer.name and (verdict := same(gold.right, answer.right)) is not None:
            return verdict
        if gold.right.constant and answer.right.constant:
            return False if gold.name != answer.name else None
    if proportional(gold.difference, answer.difference):
        return True
    for name in sorted(gold.symbols | answer.symbols)[:_MAX_UNKNOWNS]:
        # what solves the one and not the other proves that they differ
        for solved, other in ((gold, answer), (answer, gold)):
            try:
                if nonzero(difference_of(other, {name: _solution(solved, name)})):
                    return False
            except UnreadableError:
                continue
    return None


def _solution(equation: Equation, name: str) -> Value:
    """A value of the unknown that solves the equation. Raises UnreadableError where it is not linear or quadratic."""

    def at(number: int) -> Value:
        return difference_of(equation, {name: constant(Fraction(number))})

    # f(x) = ax^2 + bx + c
    c, plus, minus, twice = at(0), at(1), at(-1), at(2)
    half = constant(Fraction(1, 2))
    a = total([product([half, total([plus, minus])]), _negative(c)])
    b = product([half, total([plus, _negative(minus)])])
    if same(total([product([constant(Fraction(4)), a]), product([constant(Fraction(2)), b]), c]), twice) is not True:
        raise UnreadableError("neither linear nor quadratic")
    zero = constant(Fraction(0))
    if same(a, zero):
        if same(b, zero) is not False:
            raise UnreadableError("the unknown is not in it")
        return product([_negative(c), raised(b, constant(Fraction(-1)))])
    if same(a, zero) is None:
        raise UnreadableError("linear or quadratic")
    discriminant = total([product([b, b]), product([constant(Fraction(-4)), a, c])])
    return product([total([_negative(b), rooted(discriminant, 2)]), half, raised(a, constant(Fraction(-1)))])


def _negative(value: Value) -> Value:
    return product([constant(Fraction(-1)), value])
