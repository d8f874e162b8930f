"""Factorials and binomials of small numbers."""

from __future__ import annotations

import math
from fractions import Fraction

from rewardmesh.rewards.math.formula.value import UnreadableError, Value, constant

__all__ = ["binomial", "factorial"]

_MAX_FACTORIAL = 100


def factorial(value: Value) -> Value:
    """n!, of a small number. Raises UnreadableError."""
    exact = value.exact
    if exact is None or exact.denominator != 1 or not 0 <= exact <= _MAX_FACTORIAL:
        raise UnreadableError("a factorial of what is no small number")
    return constant(Fraction(math.factorial(int(exact))))


def binomial(n: Value, k: Value) -> Value:
    """n over k, of small numbers. Raises UnreadableError."""
    above, below = n.exact, k.exact
    if above is None or below is None or above.denominator != 1 or below.denominator != 1:
        raise UnreadableError("a binomial of what are no numbers")
    if not 0 <= below <= above <= _MAX_FACTORIAL:
        raise UnreadableError("a binomial of large or negative numbers")
    return constant(Fraction(math.comb(int(above), int(below))))
