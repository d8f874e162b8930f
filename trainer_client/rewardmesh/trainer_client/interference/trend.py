"""Does a noisy curve move? Means, differences and slopes, with their standard errors. Pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that was measured.

    Attributes:
        value: The number.
        error: Its standard error; 0 where one measurement alone says nothing about it.
        samples: Measurements.
    """

    value: float
    error: float
    samples: int

    def above(self, floor: float, errors: float = 2.0) -> bool:
        """Whether it is above `floor` by more than so many standard errors."""
        return self.value - errors * self.error > floor

    def below(self, ceiling: float, errors: float = 2.0) -> bool:
        """Whether it is below `ceiling` by more than so many standard errors."""
        return self.value + errors * self.error < ceiling


def mean(values: Sequence[float]) -> Estimate | None:
    """The mean of independent measurements; None of none."""
    if not values:
        return None
    middle, count = fmean(values), len(values)
    error = (sum((x - middle) ** 2 for x in values) / max(1, count - 1) / count) ** 0.5
    return Estimate(middle, error, count)


def difference(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """`one - other`, of independent estimates; None if either is missing."""
    if one is None or other is None:
        return None
    return Estimate(one.value - other.value, (one.error**2 + other.error**2) ** 0.5, min(one.samples, other.samples))


def slope(places: Sequence[float], values: Sequence[float]) -> Estimate | None:
    """The slope of the line that fits best in least squares, per unit of `places`.

    Its standard error is that of ordinary least squares: sqrt(residuals^2 / (n - 2) / sum (x - mean)^2).

    Returns:
        None with fewer than 3 points, or when all stand at one place.
    """
    count = len(places)
    if count < 3:
        return None
    middle, level = fmean(places), fmean(values)
    spread = sum((x - middle) ** 2 for x in places)
    if spread == 0.0:
        return None
    rise = sum((x - middle) * (y - level) for x, y in zip(places, values, strict=True)) / spread
    residuals = sum((y - level - rise * (x - middle)) ** 2 for x, y in zip(places, values, strict=True))
    return Estimate(rise, (residuals / (count - 2) / spread) ** 0.5, count)
