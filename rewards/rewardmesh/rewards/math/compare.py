"""Reads and compares expressions: math-verify's verdicts, with what can be refuted cheaply refuted first."""

from __future__ import annotations

import contextlib
import re
from fractions import Fraction
from typing import Any, cast

from sympy import Basic, Eq, Expr, Float, MatrixBase, Rational, Symbol, Tuple, nan, oo, simplify, zoo

from rewardmesh.rewards.math.estimate import differ, ratio
from rewardmesh.rewards.math.steer import PRECISION, Expression, expression, related, same

__all__ = ["Expression", "UnparsableError", "equal", "near", "parse", "within"]

# Six decimals of a tiny number say nothing, so floats must agree relative to their size too.
_RELATIVE_TOLERANCE = 1e-5
# Constants whose difference is this far from zero, evaluated to 15 digits, are not equal, and need no simplification.
_CLEARLY_NONZERO = 1e-6
# What may follow "\\approx" after an exact answer.
_APPROXIMATE = Fraction(1, 100)


class UnparsableError(ValueError):
    """A text is not an expression, or not one that can be compared."""


def parse(text: str) -> Expression:
    """The expression a canonical text stands for.

    Raises:
        UnparsableError: It stands for none, or for something undefined such as 0/0.
        MemoryError, RecursionError: A limit was hit.
    """
    try:
        parsed = expression(text)
        undefined = isinstance(parsed, Basic) and parsed.has(nan, zoo)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 (the parser raises bare Exception for a syntax error)
        raise UnparsableError(f"{type(error).__name__}: {error}") from None
    if undefined or not isinstance(parsed, Basic | MatrixBase):
        raise UnparsableError(f"{text!r} has no value")
    return parsed


def equal(reference: Expression, answer: Expression) -> bool:
    """Whether math-verify takes the answer for the reference. Not symmetric.

    Raises:
        UnparsableError: The two cannot be compared. As the reference compares with itself, the answer is to blame.
        MemoryError, RecursionError: A limit was hit.
    """
    try:
        return _equal(reference, answer) and _same_magnitude(reference, answer)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 (sympy raises whatever a class of expressions happens to)
        raise UnparsableError(f"{type(error).__name__}: {error}") from None


def within(expression: Expression, value: Fraction, tolerance: Fraction) -> bool:
    """Whether a constant lies no further than that from a number."""
    if not isinstance(expression, Expr) or expression.free_symbols:
        return False
    exact: Any = expression.doit().evalf(PRECISION)
    return bool(exact.is_real) and abs(float(exact) - float(value)) <= tolerance


def near(reference: Expression, value: Fraction) -> bool:
    """Whether a number is a fair approximation of a constant, to a hundredth of it."""
    return within(reference, value, _APPROXIMATE * abs(value))


def _equal(reference: Expression, answer: Expression) -> bool:
    scalars = isinstance(reference, Expr) and isinstance(answer, Expr)
    if not scalars or isinstance(reference, Symbol) or isinstance(answer, Symbol):
        if _rearranged(reference, answer):
            return True
        return not _tuples_differ(reference, answer) and related(reference, answer)
    # The rest of sympy_expr_eq for scalars, spelt out because it swallows MemoryError around simplify.
    if reference == answer:
        return same(reference, answer)  # False for what has no value
    if differ(reference, answer) and not (_percentage(reference) or _percentage(answer)):
        return False
    if same(reference, answer):
        return True
    difference: Any = cast(Any, reference) - answer
    if _clearly_nonzero(difference):
        return False
    return difference.expand() == 0 or bool(simplify(difference).is_zero)


def _rearranged(reference: Expression, answer: Expression) -> bool:
    """Whether an equation is a multiple of another: spares math-verify solving both."""
    if not (isinstance(reference, Eq) and isinstance(answer, Eq)):
        return False
    sides: tuple[Any, ...] = (*reference.args, *answer.args)
    if not all(isinstance(side, Expr) for side in sides):
        return False
    first, second = sides[0] - sides[1], sides[2] - sides[3]
    factor = ratio(first, second)
    return factor is not None and (first - Rational(factor.numerator, factor.denominator) * second).expand() == 0


def _tuples_differ(reference: Expression, answer: Expression) -> bool:
    """Whether two tuples have another length or places that certainly differ."""
    if not (isinstance(reference, Tuple) and isinstance(answer, Tuple)):
        return False
    return len(reference) != len(answer) or any(
        differ(a, b) and not (_percentage(a) or _percentage(b))
        for a, b in zip(reference.args, answer.args, strict=True)
    )


def _clearly_nonzero(difference: Any) -> bool:
    if difference.free_symbols:
        return False
    value = difference.evalf(PRECISION)
    with contextlib.suppress(TypeError):  # not a number even when evaluated, an unsolved limit, say
        return abs(complex(value)) > _CLEARLY_NONZERO
    return False


def _same_magnitude(reference: Expression, answer: Expression) -> bool:
    """False for two constants that agree only because both are tiny."""
    if not (isinstance(reference, Expr) and isinstance(answer, Expr)):
        return True
    if not (reference.has(Float) or answer.has(Float)) or reference.free_symbols or answer.free_symbols:
        return True
    values: list[Any] = [side.doit().evalf(PRECISION) for side in (reference, answer)]
    if any(value in (oo, -oo) for value in values):
        return True
    a, b = (abs(complex(value)) for value in values)
    return abs(a - b) <= _RELATIVE_TOLERANCE * max(a, b) or _percentage(reference) or _percentage(answer)


def _percentage(expression: Expression) -> bool:
    """Whether it was written with a percent sign, which math-verify reads as either of two numbers."""
    return bool(re.search(r"(?<!\d)1/100(?!\d)", str(expression)))
