"""Whether boxes and points make sense: the same rules for answers, which then earn 0, and for references."""

from __future__ import annotations

import math

from rewardmesh.contract import Box, Point

# Models round and overshoot: this share of a side may lie outside the image and is clipped.
DRIFT = 0.05
# A box that covers this share of the image says nothing about where in the image anything is.
WHOLE = 0.95
# No image has a longer side. Without an image size it still keeps areas far from overflow.
_MAX_COORDINATE = 1e6


def fit_box(box: Box, extent: tuple[float, float] | None) -> tuple[Box, str]:
    """The box clipped to the image, and what is wrong with it.

    Args:
        box: In the reference's space.
        extent: Width and height of the image there; None when unknown.

    Returns:
        The clipped box, and "" or a reason: non_finite, swapped, degenerate (no area) or out_of_bounds.
    """
    x1, y1, x2, y2 = box
    wide, high = extent or (_MAX_COORDINATE, _MAX_COORDINATE)
    # Most boxes lie in their image. No comparison with nan holds.
    if 0 <= x1 < x2 <= wide <= _MAX_COORDINATE and 0 <= y1 < y2 <= high <= _MAX_COORDINATE:
        return box, "" if (x2 - x1) * (y2 - y1) > 0 else "degenerate"
    if not all(map(math.isfinite, box)):
        return box, "non_finite"
    if x2 < x1 or y2 < y1:
        return box, "swapped"
    (x1, y1), first = fit_point(Point(x1, y1), extent)
    (x2, y2), second = fit_point(Point(x2, y2), extent)
    if first or second:
        return box, first or second
    clipped = Box(x1, y1, x2, y2)
    return clipped, "" if area(clipped) > 0 else "degenerate"


def fit_point(point: Point, extent: tuple[float, float] | None) -> tuple[Point, str]:
    """The point clipped to the image, and "" or a reason: non_finite or out_of_bounds."""
    x, y = point
    wide, high = extent or (_MAX_COORDINATE, _MAX_COORDINATE)
    if 0 <= x <= wide <= _MAX_COORDINATE and 0 <= y <= high <= _MAX_COORDINATE:
        return point, ""
    if not all(map(math.isfinite, point)):
        return point, "non_finite"
    if max(map(abs, point)) > _MAX_COORDINATE:
        return point, "out_of_bounds"
    if extent is None:
        return point, ""
    for value, full in zip(point, extent, strict=True):
        if not -DRIFT * full <= value <= (1 + DRIFT) * full:
            return point, "out_of_bounds"
    return Point(min(max(x, 0.0), extent[0]), min(max(y, 0.0), extent[1])), ""


def covers(box: Box, extent: tuple[float, float] | None) -> bool:
    """Whether a clipped box covers `WHOLE` of an image of known size."""
    return extent is not None and area(box) >= WHOLE * extent[0] * extent[1]


def area(box: Box) -> float:
    """The area of a box whose corners are in order."""
    return (box[2] - box[0]) * (box[3] - box[1])
