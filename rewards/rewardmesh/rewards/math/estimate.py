"""Values of expressions at a point in floating point, with bounds on their errors: to prove inequality, never equality.

A running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3) with generous
constants: when two estimates lie further apart than their bounds, the exact values differ.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from sympy import (
    Abs,
    Add,
    Basic,
    Expr,
    MatrixBase,
    Mul,
    Number,
    NumberSymbol,
    Pow,
    S,
    Symbol,
    UnevaluatedExpr,
    acos,
    asin,
    atan,
    cos,
    exp,
    log,
    sin,
    tan,
)

# Twice the unit roundoff of a double, for a few operations each.
_ROUND = 2.0**-50
# An estimate less certain than this, relative to its size, is none: the bounds below are first order.
_UNCERTAIN = 1e-4
# math-verify compares floats after rounding to six decimals: what is closer than that is left to it.
_FLOATS = 2e-6
# Values of a symbol, positive so that laws of roots and logarithms hold, and unlike any constant in an answer.
_POINTS = ((0.731, 0.2377), (1.3217, 0.4171), (2.6171, 0.5923))

# The largest denominator of a factor between two sides of one equation.
_SIMPLE = 10_000


class Estimate(NamedTuple):
    """A value and a bound on its absolute error."""

    value: complex
    error: float


_FUNCTIONS: dict[Any, tuple[Callable[[complex], complex], Callable[[complex], complex]]] = {
    exp: (cmath.exp, cmath.exp),
    log: (cmath.log, lambda x: 1 / x),
    sin: (cmath.sin, cmath.cos),
    cos: (cmath.cos, cmath.sin),
    tan: (cmath.tan, lambda x: 1 / cmath.cos(x) ** 2),
    atan: (cmath.atan, lambda x: 1 / (1 + x * x)),
    asin: (cmath.asin, lambda x: 1 / cmath.sqrt(1 - x * x)),
    acos: (cmath.acos, lambda x: 1 / cmath.sqrt(1 - x * x)),
    Abs: (lambda x: complex(abs(x)), lambda _: 1.0),
}
# Those whose principal value jumps across the negative half of the real line.
_CUT = (log,)


def differ(a: Basic | MatrixBase, b: Basic | MatrixBase) -> bool:
    """Whether two scalars certainly differ: as constants, or at one of a few points as functions of their symbols."""
    if not (isinstance(a, Expr) and isinstance(b, Expr)):
        return False
    symbols = sorted({*a.free_symbols, *b.free_symbols}, key=str)
    for start, step in _POINTS if symbols else _POINTS[:1]:
        point = {symbol: Estimate(complex(start + step * i), 0.0) for i, symbol in enumerate(symbols)}
        try:
            x, y = _estimate(a, point), _estimate(b, point)
        except (OverflowError, ZeroDivisionError, ValueError, TypeError):
            continue
        if x is not None and y is not None and abs(x.value - y.value) > 4 * (x.error + y.error) + _FLOATS:
            return True
    return False


def ratio(a: Expr, b: Expr) -> Fraction | None:
    """The simple fraction that a/b may be, judged at one point; None if it is none. A guess for the caller to prove."""
    start, step = _POINTS[0]
    symbols = sorted({*a.free_symbols, *b.free_symbols}, key=str)
    point = {symbol: Estimate(complex(start + step * i), 0.0) for i, symbol in enumerate(symbols)}
    try:
        x, y = _estimate(a, point), _estimate(b, point)
    except (OverflowError, ZeroDivisionError, ValueError, TypeError):
        return None
    if x is None or y is None or not x.value or not y.value:
        return None
    return Fraction((x.value / y.value).real).limit_denominator(_SIMPLE) or None


def _estimate(expression: Any, point: Mapping[Any, Estimate]) -> Estimate | None:
    if isinstance(expression, Symbol):
        return point.get(expression)  # None for the index of a sum
    if isinstance(expression, Number | NumberSymbol):
        value = complex(expression)
        return Estimate(value, _ROUND * abs(value)) if cmath.isfinite(value) else None
    if expression is S.ImaginaryUnit:
        return Estimate(1j, 0.0)
    parts: list[Estimate] = []
    for argument in expression.args:
        part = _estimate(argument, point)
        if part is None:
            return None
        parts.append(part)
    found = _combine(expression, parts)
    if found is None or not cmath.isfinite(found.value) or found.error > _UNCERTAIN * max(1.0, abs(found.value)):
        return None
    return found


def _combine(expression: Any, parts: list[Estimate]) -> Estimate | None:
    if isinstance(expression, Add):
        value = sum(part.value for part in parts)
        return Estimate(value, sum(part.error + _ROUND * abs(part.value) for part in parts) * (1 + _ROUND))
    if isinstance(expression, Mul):
        value, error = 1 + 0j, 0.0
        for part in parts:
            error = abs(value) * part.error + abs(part.value) * error + error * part.error
            value *= part.value
            error += _ROUND * abs(value)
        return Estimate(value, error)
    if isinstance(expression, Pow):
        return _power(*parts)
    if isinstance(expression, UnevaluatedExpr):
        return parts[0]
    functions = _FUNCTIONS.get(expression.func)
    if functions is None or len(parts) != 1:
        return None
    [(x, error)] = parts
    if expression.func in _CUT and _on_cut(parts[0]):
        return None
    value = functions[0](x)
    return Estimate(value, 2 * abs(functions[1](x)) * error + _ROUND * (abs(value) + abs(x)))


def _power(base: Estimate, exponent: Estimate) -> Estimate | None:
    if abs(base.value) <= base.error or base.value == 0:
        return None
    whole = exponent.error <= _ROUND * abs(exponent.value) and exponent.value == round(exponent.value.real)
    if not whole and _on_cut(base):
        return None
    logarithm = cmath.log(base.value)
    value = base.value ** int(exponent.value.real) if whole else cmath.exp(exponent.value * logarithm)
    relative = 2 * abs(exponent.value) * base.error / abs(base.value) + 2 * abs(logarithm) * exponent.error
    return Estimate(value, abs(value) * (relative + _ROUND * (2 + abs(exponent.value) * (2 + abs(logarithm)))))


def _on_cut(x: Estimate) -> bool:
    """Whether an error may move a value across the negative half of the real line."""
    return x.value.real - x.error <= 0 and x.error > 0 and abs(x.value.imag) <= x.error and x.value.imag != 0
