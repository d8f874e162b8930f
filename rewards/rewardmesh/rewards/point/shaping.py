"""What a point earns by how near it comes to the middle of a region.

Both shapings keep the order that counts: a point in the region earns at least 0.5, and one outside less than that. They
shape boxes. A polygon has no size of its own by which to measure, and its middle may lie outside it: there every point
inside earns 1, and one outside 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from rewardmesh.contract import Box, Point
from rewardmesh.rewards.point.region import Shape, inside

ShapingName = Literal["none", "gaussian", "distance"]


class Shaped(NamedTuple):
    """What a point earns.

    Attributes:
        value: In [0, 1], the best over the regions.
        inside: Whether it lies in one of them.
        distance: To the middle of the box for which it earns that, in half diagonals of the box: 0 in the middle, 1 at
            a corner. None if that region is no box, or nothing is shaped.
    """

    value: float
    inside: bool
    distance: float | None = None


class Shaping:
    """An option `shaping`.

    Args:
        name: `none`: 1 in a region, else 0. `gaussian`: (inside + g) / 2 with the point reward of GUI-G2 (arXiv
            2507.15846), g = exp(-((dx / (sigma w))^2 + (dy / (sigma h))^2) / 2), of the distances dx and dy to the
            middle of a box w wide and h high. Taken alone, g pays some misses beside an edge more than hits in a
            corner. `distance`: inside * (1 - d / 2), with d the distance to the middle in half diagonals of the box.
        sigma: Of the Gaussian, as a share of the box's sides; 0.5 in GUI-G2.

    Raises:
        ValueError: The name is unknown, or sigma is not above 0 and at most 10.
    """

    def __init__(self, name: str, sigma: float) -> None:
        if name not in ("none", "gaussian", "distance"):
            raise ValueError(f"shaping must be none, gaussian or distance, got {name!r:.80}")
        if type(sigma) not in (int, float) or not 0 < sigma <= 10:
            raise ValueError(f"sigma must be a number above 0 and at most 10, got {sigma!r:.80}")
        self._name = name
        self._sigma = float(sigma)

    def __call__(self, shapes: Sequence[Shape], point: Point) -> Shaped:
        """What a finite point earns for these regions, at least one."""
        if self._name == "none":
            hit = inside(shapes, point)
            return Shaped(float(hit), hit)
        return max((self._one(shape, point) for shape in shapes), key=lambda one: (one.value, -(one.distance or 0.0)))

    def _one(self, shape: Shape, point: Point) -> Shaped:
        hit = inside((shape,), point)
        if not isinstance(shape, Box):
            return Shaped(float(hit), hit)
        wide, high = shape.x2 - shape.x1, shape.y2 - shape.y1
        dx, dy = point.x - (shape.x1 + shape.x2) / 2, point.y - (shape.y1 + shape.y2) / 2
        distance = min(2 * math.hypot(dx, dy) / math.hypot(wide, high), 1e9)  # finite, whatever the box
        if self._name == "distance":
            return Shaped(1 - min(distance, 1.0) / 2 if hit else 0.0, hit, distance)
        across, down = dx / (self._sigma * wide), dy / (self._sigma * high)
        return Shaped((hit + math.exp(-(across * across + down * down) / 2)) / 2, hit, distance)
