"""Means, differences and slopes by hand, and their errors against what noise really does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.trainer_client.interference.trend import Estimate, difference, mean, slope


def test_mean_by_hand() -> None:
    assert mean([]) is None
    assert mean([2.0]) == Estimate(2.0, 0.0, 1)
    assert mean([1.0, 2.0, 3.0]) == Estimate(2.0, pytest.approx(1 / 3**0.5), 3)


def test_difference_by_hand() -> None:
    one, other = Estimate(0.5, 0.03, 20), Estimate(0.4, 0.04, 10)
    assert difference(one, other) == Estimate(pytest.approx(0.1), pytest.approx(0.05), 10)
    assert difference(one, None) is None
    assert difference(None, other) is None


def test_slope_by_hand() -> None:
    """Residuals of 1/6, -1/3, 1/6 about the line: sum of squares 1/6, one degree of freedom, spread 2."""
    assert slope([0, 1, 2], [0.0, 0.0, 1.0]) == Estimate(pytest.approx(0.5), pytest.approx((1 / 12) ** 0.5), 3)


@pytest.mark.parametrize(("places", "values"), [([], []), ([1, 2], [0.0, 1.0]), ([5, 5, 5], [0.0, 1.0, 2.0])])
def test_no_slope_where_no_line_can_be_told(places: list[int], values: list[float]) -> None:
    assert slope(places, values) is None


@given(
    st.floats(-10, 10),
    st.floats(-10, 10),
    st.lists(st.integers(0, 1000), min_size=3, max_size=20, unique=True),
)
def test_a_straight_line_has_its_slope_and_no_error(rise: float, start: float, places: list[int]) -> None:
    found = slope(places, [start + rise * x for x in places])
    assert found is not None
    assert found.value == pytest.approx(rise, abs=1e-6)
    assert found.error == pytest.approx(0.0, abs=1e-6)


def test_a_slopes_error_is_how_far_noise_moves_it() -> None:
    rng = random.Random(1)
    found = [slope(range(20), [0.01 * x + rng.gauss(0.0, 0.1) for x in range(20)]) for _ in range(400)]
    within = sum(abs(f.value - 0.01) < 2 * f.error for f in found if f is not None) / 400
    assert 0.90 < within < 0.98


@pytest.mark.parametrize(("value", "error", "above", "below"), [(0.1, 0.04, True, False), (0.1, 0.06, False, False)])
def test_above_and_below_want_more_than_noise(value: float, error: float, above: bool, below: bool) -> None:
    assert Estimate(value, error, 9).above(0.0) == above
    assert Estimate(value, error, 9).below(0.0) == below
    assert Estimate(-value, error, 9).below(0.0) == above
