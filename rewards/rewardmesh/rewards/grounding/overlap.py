"""How well two boxes with an area overlap. All measures are 1 for equal boxes and none changes with the scale."""

from __future__ import annotations

import math

from rewardmesh.contract import Box


def iou_giou(a: Box, b: Box) -> tuple[float, float]:
    """Intersection over union, in [0, 1], and generalised IoU, in [-1, 1].

    GIoU: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019, equation for axis-aligned boxes.
    """
    ax1, ay1, ax2, ay2 = a
    bx1, by1, bx2, by2 = b
    width = (ax2 if ax2 < bx2 else bx2) - (ax1 if ax1 > bx1 else bx1)
    height = (ay2 if ay2 < by2 else by2) - (ay1 if ay1 > by1 else by1)
    intersection = width * height if width > 0 and height > 0 else 0.0
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - intersection
    iou = intersection / union if intersection < union else 1.0
    width = (ax2 if ax2 > bx2 else bx2) - (ax1 if ax1 < bx1 else bx1)
    hull = width * ((ay2 if ay2 > by2 else by2) - (ay1 if ay1 < by1 else by1))
    if hull <= union:  # by rounding
        return iou, iou
    giou = iou - (hull - union) / hull
    return iou, giou if giou > -1.0 else -1.0


def diou(a: Box, b: Box, iou: float) -> float:
    """Distance IoU, IoU - d^2 / c^2, in [-1, 1].

    d is the distance between the centres and c the diagonal of the smallest box around both. Zheng et al.,
    "Distance-IoU Loss", arXiv 1911.08287, equation 7.

    Args:
        a: A box.
        b: Another one.
        iou: Their intersection over union.
    """
    across, down = (a.x1 + a.x2 - b.x1 - b.x2) / 2, (a.y1 + a.y2 - b.y1 - b.y2) / 2
    hull = _hull(a, b)
    wide, high = hull.x2 - hull.x1, hull.y2 - hull.y1
    return max(-1.0, iou - (across * across + down * down) / (wide * wide + high * high))


def ciou(a: Box, b: Box, iou: float) -> float:
    """Complete IoU, DIoU - alpha v, in [-1.5, 1]: also punishes another aspect ratio.

    v = 4 / pi^2 (arctan(w_a / h_a) - arctan(w_b / h_b))^2 and alpha = v / (1 - IoU + v), 0 where v is 0. The same
    paper, equations 8 to 11.
    """
    angle = math.atan2(a.x2 - a.x1, a.y2 - a.y1) - math.atan2(b.x2 - b.x1, b.y2 - b.y1)
    v = 4 / math.pi**2 * angle * angle
    return diou(a, b, iou) - (v * v / (1 - iou + v) if v else 0.0)


def _hull(a: Box, b: Box) -> Box:
    return Box(min(a.x1, b.x1), min(a.y1, b.y1), max(a.x2, b.x2), max(a.y2, b.y2))
