r"""What a formula is: a scalar, a list, a set of reals, an equation or a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from rewardmesh.rewards.math.formula.value import Value, constant
from rewardmesh.rewards.math.number import Number

__all__ = [
    "End", "Equation", "Formula", "Infinity", "Interval", "Items", "Matrix", "Ratio", "Reals", "Scalar", "value_of",
]  # fmt: skip


class Infinity(Enum):
    """An end that an interval does not have."""

    BELOW = -1
    ABOVE = 1


End: TypeAlias = Value | Infinity


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value; as a number where it is written as a plain one, else `number` is None and `value` is set."""

    value: Value | None
    number: Number | None = None


@dataclass(frozen=True, slots=True)
class Items:
    r"""A list: its opening and closing bracket ("(", "[", "\{", or "" for none) and what is in it."""

    opening: str
    closing: str
    items: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """From one end to the other. `low_in` and `high_in`: whether the ends belong to it."""

    low: End
    high: End
    low_in: bool
    high_in: bool


@dataclass(frozen=True, slots=True)
class Reals:
    """A set of real numbers as intervals, of the variable named, or of none."""

    intervals: tuple[Interval, ...]
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation of two scalars.

    Attributes:
        sides: Their texts.
        difference: The left one minus the right one.
        right: The right one.
        name: The left one, where it is a single symbol that the right one lacks; else "".
        denotes: Whether the left one only names what the right one is: f_1, AB, S:T.
        symbols: The symbols of both.
    """

    sides: tuple[str, str]
    difference: Value
    right: Value
    name: str
    denotes: bool
    symbols: frozenset[str]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of scalars."""

    rows: tuple[tuple[Formula, ...], ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Three or more numbers to one another: 1:2:3."""

    terms: tuple[Value, ...]


Formula: TypeAlias = Scalar | Items | Reals | Equation | Matrix | Ratio


def value_of(scalar: Scalar) -> Value:
    """The value of a scalar, also of one that is a plain number."""
    if scalar.value is not None:
        return scalar.value
    assert scalar.number is not None
    return constant(scalar.number.exact, scalar.number.decimals is not None)
