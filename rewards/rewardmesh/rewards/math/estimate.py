"""Values of sympy's expressions at a few points, with bounds on their errors (see `bounds`)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

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

from rewardmesh.rewards.math.formula.bounds import Estimate, add, apart, apply, certain, exactly, multiply, power

# Values of a symbol, positive so that laws of roots and logarithms hold, and unlike any constant in an answer.
_POINTS = ((0.731, 0.2377), (1.3217, 0.4171), (2.6171, 0.5923))
_FUNCTIONS: dict[Any, str] = {f: f.__name__ for f in (exp, log, sin, cos, tan, atan, asin, acos, Abs)}
# The largest denominator of a factor between two sides of one equation.
_SIMPLE = 10_000
_NO_VALUE = (OverflowError, ZeroDivisionError, ValueError, TypeError)


def differ(a: Basic | MatrixBase, b: Basic | MatrixBase) -> bool:
    """Whether two scalars certainly differ: as constants, or at one of a few points as functions of their symbols."""
    if not (isinstance(a, Expr) and isinstance(b, Expr)):
        return False
    symbols = sorted({*a.free_symbols, *b.free_symbols}, key=str)
    for start, step in _POINTS if symbols else _POINTS[:1]:
        point = {symbol: Estimate(complex(start + step * i), 0.0) for i, symbol in enumerate(symbols)}
        try:
            x, y = _estimate(a, point), _estimate(b, point)
        except _NO_VALUE:
            continue
        if x is not None and y is not None and apart(x, y):
            return True
    return False


def ratio(a: Expr, b: Expr) -> Fraction | None:
    """The simple fraction that a/b may be, judged at one point; None if it is none. A guess for the caller to prove."""
    start, step = _POINTS[0]
    symbols = sorted({*a.free_symbols, *b.free_symbols}, key=str)
    point = {symbol: Estimate(complex(start + step * i), 0.0) for i, symbol in enumerate(symbols)}
    try:
        x, y = _estimate(a, point), _estimate(b, point)
    except _NO_VALUE:
        return None
    if x is None or y is None or not x.value or not y.value:
        return None
    return Fraction((x.value / y.value).real).limit_denominator(_SIMPLE) or None


def _estimate(expression: Any, point: Mapping[Any, Estimate]) -> Estimate | None:
    if isinstance(expression, Symbol):
        return point.get(expression)  # None for the index of a sum
    if isinstance(expression, Number | NumberSymbol):
        return exactly(complex(expression))
    if expression is S.ImaginaryUnit:
        return Estimate(1j, 0.0)
    parts: list[Estimate] = []
    for argument in expression.args:
        part = _estimate(argument, point)
        if part is None:
            return None
        parts.append(part)
    return certain(_combine(expression, parts))


def _combine(expression: Any, parts: list[Estimate]) -> Estimate | None:
    if isinstance(expression, Add):
        return add(parts)
    if isinstance(expression, Mul):
        return multiply(parts)
    if isinstance(expression, Pow):
        return power(*parts)
    if isinstance(expression, UnevaluatedExpr):
        return parts[0]
    name = _FUNCTIONS.get(expression.func)
    return apply(name, parts[0]) if name and len(parts) == 1 else None
