"""Measures of overlap against independent ones: areas of shapely's polygons, and formulas as their papers print them.

torchmetrics has all four, but only together with torchvision, which this project does without; the formulas are
written out here a second time instead, with numpy and in other terms.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from rewardmesh.contract import Box
from rewardmesh.rewards.grounding.overlap import ciou, diou, iou_giou

_side = st.floats(0, 1000) | st.integers(0, 1000).map(float) | st.decimals(0, 1000, places=2).map(float)
_boxes = st.builds(lambda a, b, c, d: Box(min(a, c), min(b, d), max(a, c), max(b, d)), *[_side] * 4).filter(
    lambda box: box.x2 - box.x1 > 1e-3 and box.y2 - box.y1 > 1e-3
)


def _all(a, b):
    iou, giou = iou_giou(a, b)
    return np.array([iou, giou, diou(a, b, iou), ciou(a, b, iou)])


def _by_shapely(a, b):
    p, q = shapely.box(*a), shapely.box(*b)
    intersection = p.intersection(q).area
    union = p.area + q.area - intersection
    hull = shapely.envelope(shapely.union(p, q)).area
    return intersection / union, intersection / union - (hull - union) / hull


def _by_numpy(a, b):
    (a1, a2), (b1, b2) = np.reshape(a, (2, 2)), np.reshape(b, (2, 2))
    intersection = np.prod(np.clip(np.minimum(a2, b2) - np.maximum(a1, b1), 0, None))
    iou = intersection / (np.prod(a2 - a1) + np.prod(b2 - b1) - intersection)
    rho2 = np.sum(((a1 + a2) / 2 - (b1 + b2) / 2) ** 2)
    c2 = np.sum((np.maximum(a2, b2) - np.minimum(a1, b1)) ** 2)
    distance = iou - rho2 / c2
    ratio_a, ratio_b = (a2 - a1)[0] / (a2 - a1)[1], (b2 - b1)[0] / (b2 - b1)[1]
    v = 4 / np.pi**2 * (np.arctan(ratio_a) - np.arctan(ratio_b)) ** 2
    alpha = v / ((1 - iou) + v) if v > 0 else 0.0
    return distance, distance - alpha * v


@given(_boxes, _boxes)
def test_iou_and_giou_are_those_of_shapely(a, b):
    assert iou_giou(a, b) == pytest.approx(_by_shapely(a, b), abs=1e-9)


@given(_boxes, _boxes)
def test_diou_and_ciou_are_those_of_their_paper(a, b):
    assert _all(a, b)[2:] == pytest.approx(_by_numpy(a, b), abs=1e-9)


@given(_boxes, _boxes)
def test_they_are_symmetric_and_bounded(a, b):
    iou, giou, distance, complete = _all(a, b)
    assert _all(b, a) == pytest.approx(_all(a, b), abs=1e-12)
    assert 0 <= iou <= 1
    assert -1 <= giou <= iou
    assert -1 <= distance <= iou
    assert -1.5 <= complete <= distance
    assert _all(a, a) == pytest.approx(np.ones(4))
    if iou == 1:
        assert _all(a, b)[1] == pytest.approx(1)


@given(_boxes, _boxes, st.floats(1e-2, 1e2))
def test_scale_does_not_matter(a, b, scale):
    bigger, other = (Box(*(side * scale for side in box)) for box in (a, b))
    assert _all(bigger, other) == pytest.approx(_all(a, b), abs=1e-9)


@given(_boxes, _boxes, st.integers(0, 1000), st.integers(0, 1000))
def test_place_does_not_matter(a, b, right, down):
    assume(all(min(box.x2 - box.x1, box.y2 - box.y1) >= 0.01 for box in (a, b)))
    moved, other = (Box(box.x1 + right, box.y1 + down, box.x2 + right, box.y2 + down) for box in (a, b))
    assert _all(moved, other) == pytest.approx(_all(a, b), abs=1e-7)  # sums of sides are rounded


def test_by_hand():
    assert _all(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx(
        np.array([1 / 7, 1 / 7 - 2 / 9, 1 / 7 - 1 / 9, 1 / 7 - 1 / 9])
    )
    assert iou_giou(Box(0, 0, 1, 1), Box(3, 0, 4, 1)) == pytest.approx((0, -0.5))
    assert iou_giou(Box(0, 0, 1, 1), Box(1, 0, 2, 1)) == pytest.approx((0, 0))
    wide, high = Box(0, 0, 4, 2), Box(0, 0, 2, 4)
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(1 / 2)) ** 2
    assert ciou(wide, high, 1 / 3) == pytest.approx(1 / 3 - 2 / 32 - v * v / (2 / 3 + v))
