"""Floating point with a bound on its error: to prove that two values differ, never that they are equal.

A running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3) with generous
constants: when two estimates lie further apart than their bounds, the exact values differ.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["FLOATS", "FUNCTIONS", "Estimate", "add", "apart", "apply", "certain", "exactly", "multiply", "power"]

# Twice the unit roundoff of a double, for a few operations each.
_ROUND = 2.0**-50
# An estimate less certain than this, relative to its size, is none: the bounds below are first order.
_UNCERTAIN = 1e-4
# math-verify compares floats after rounding to six decimals: what is closer than that is left to it.
FLOATS = 2e-6


class Estimate(NamedTuple):
    """A value and a bound on its absolute error."""

    value: complex
    error: float


# Each function and its derivative.
FUNCTIONS: dict[str, tuple[Callable[[complex], complex], Callable[[complex], complex]]] = {
    "exp": (cmath.exp, cmath.exp),
    "log": (cmath.log, lambda x: 1 / x),
    "sin": (cmath.sin, cmath.cos),
    "cos": (cmath.cos, cmath.sin),
    "tan": (cmath.tan, lambda x: 1 / cmath.cos(x) ** 2),
    "atan": (cmath.atan, lambda x: 1 / (1 + x * x)),
    "asin": (cmath.asin, lambda x: 1 / cmath.sqrt(1 - x * x)),
    "acos": (cmath.acos, lambda x: 1 / cmath.sqrt(1 - x * x)),
    "Abs": (lambda x: complex(abs(x)), lambda _: 1.0),
}
# Those whose principal value jumps across the negative half of the real line.
_CUT = ("log",)


def exactly(value: complex) -> Estimate | None:
    """The estimate of a number that was rounded to a double; None if it is too large for one."""
    return Estimate(value, _ROUND * abs(value)) if cmath.isfinite(value) else None


def certain(found: Estimate | None) -> Estimate | None:
    """The estimate, if its bound says anything."""
    if found is None or not cmath.isfinite(found.value) or found.error > _UNCERTAIN * max(1.0, abs(found.value)):
        return None
    return found


def apart(x: Estimate, y: Estimate) -> bool:
    """Whether two values certainly differ, by more than a rounding to six decimals hides."""
    return abs(x.value - y.value) > 4 * (x.error + y.error) + FLOATS


def add(parts: Iterable[Estimate]) -> Estimate:
    """Their sum."""
    value, error = 0j, 0.0
    for part in parts:
        value += part.value
        error += part.error + _ROUND * abs(part.value)
    return Estimate(value, error * (1 + _ROUND))


def multiply(parts: Iterable[Estimate]) -> Estimate:
    """Their product."""
    value, error = 1 + 0j, 0.0
    for part in parts:
        error = abs(value) * part.error + abs(part.value) * error + error * part.error
        value *= part.value
        error += _ROUND * abs(value)
    return Estimate(value, error)


def power(base: Estimate, exponent: Estimate) -> Estimate | None:
    """The principal value of a power; None where that is not certain. Raises OverflowError."""
    if abs(base.value) <= base.error or base.value == 0:
        return None
    whole = exponent.error <= _ROUND * abs(exponent.value) and exponent.value == round(exponent.value.real)
    if not whole and _on_cut(base):
        return None
    logarithm = cmath.log(base.value)
    value = base.value ** int(exponent.value.real) if whole else cmath.exp(exponent.value * logarithm)
    relative = 2 * abs(exponent.value) * base.error / abs(base.value) + 2 * abs(logarithm) * exponent.error
    return Estimate(value, abs(value) * (relative + _ROUND * (2 + abs(exponent.value) * (2 + abs(logarithm)))))


def apply(name: str, x: Estimate) -> Estimate | None:
    """One of `FUNCTIONS` of an estimate. Raises ArithmeticError and ValueError where it has no value."""
    function, derivative = FUNCTIONS[name]
    if name in _CUT and _on_cut(x):
        return None
    value = function(x.value)
    return Estimate(value, 2 * abs(derivative(x.value)) * x.error + _ROUND * (abs(value) + abs(x.value)))


def _on_cut(x: Estimate) -> bool:
    """Whether an error may move a value across the negative half of the real line."""
    return x.value.real - x.error <= 0 and x.error > 0 and abs(x.value.imag) <= x.error and x.value.imag != 0
