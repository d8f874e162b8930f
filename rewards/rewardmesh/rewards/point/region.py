"""The regions of a point reference: whether they make sense, and whether a point lies in one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import shapely

from rewardmesh.contract import Box, InvalidReferenceError, Point, PointReference, Region
from rewardmesh.rewards.visual.fit import fit_box, fit_point
from rewardmesh.rewards.visual.space import Frame

MAX_VERTICES = 64  # making a self-crossing polygon valid takes minutes at 1000
_REMEMBERED = 4096  # regions, while the completions of their group are scored: some MB
# A point on the boundary stays there when a change of space rounds it. Relative to the size of the coordinates.
_ROUNDING = 1e-9

Shape: TypeAlias = Box | shapely.Geometry


def read_regions(reference: PointReference, view: Frame) -> list[Shape]:
    """The regions, checked and clipped to the image, in the reference's space.

    Raises:
        InvalidReferenceError: There are none and no refusal is expected, or one of them makes no sense.
    """
    if not reference.regions and not reference.refusal:
        raise InvalidReferenceError("needs at least one region, or refusal: true")
    return [_shape(region, view.extent, f"regions[{i}]") for i, region in enumerate(reference.regions)]


def inside(shapes: Sequence[Shape], point: Point) -> bool:
    """Whether a finite point lies in one of the shapes; boundaries belong to them."""
    x, y = point
    slack = _ROUNDING * max(1.0, abs(x), abs(y))
    for shape in shapes:
        if isinstance(shape, Box):
            if shape.x1 - slack <= x <= shape.x2 + slack and shape.y1 - slack <= y <= shape.y2 + slack:
                return True
        elif shapely.intersects_xy(shape, x, y) or shapely.dwithin(shape, shapely.Point(x, y), slack):
            return True
    return False


@lru_cache(_REMEMBERED)
def _shape(region: Region, extent: tuple[float, float] | None, name: str) -> Shape:
    corners = [Point(*region[:2]), Point(*region[2:])] if isinstance(region, Box) else list(region.vertices)
    if any(corner.x < 0 or corner.y < 0 for corner in corners):
        raise InvalidReferenceError(f"{name} has negative coordinates, which in an answer mean a refusal")
    if isinstance(region, Box):
        box, wrong = fit_box(region, extent)
        if wrong:
            raise InvalidReferenceError(f"{name} {list(region)} is {wrong}")
        return box
    if not 3 <= len(corners) <= MAX_VERTICES:
        raise InvalidReferenceError(f"{name} needs 3 to {MAX_VERTICES} vertices, got {len(corners)}")
    ring: list[Point] = []
    for corner in corners:
        vertex, wrong = fit_point(corner, extent)
        if wrong:
            raise InvalidReferenceError(f"{name} has a vertex {list(corner)} that is {wrong}")
        ring.append(vertex)
    polygon = shapely.Polygon(ring)
    if not polygon.is_valid:
        polygon = shapely.make_valid(polygon, method="structure", keep_collapsed=False)
    if polygon.area <= 0:
        raise InvalidReferenceError(f"{name} is degenerate: its polygon has no area")
    # Making a polygon valid drops spikes and moves crossings; the boundary as given stays in the region.
    return shapely.GeometryCollection([polygon, shapely.LinearRing(ring)])
