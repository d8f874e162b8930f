"""How well boxes overlap, and which answered box belongs to which reference box."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rewardmesh.contract import Box
from rewardmesh.rewards.visual.fit import area


def iou_giou(a: Box, b: Box) -> tuple[float, float]:
    """Intersection over union, in [0, 1], and generalised IoU, in [-1, 1], of two boxes with an area.

    GIoU: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019, equation for axis-aligned boxes.
    """
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    intersection = width * height if width > 0 and height > 0 else 0.0
    union = area(a) + area(b) - intersection
    hull = (max(a.x2, b.x2) - min(a.x1, b.x1)) * (max(a.y2, b.y2) - min(a.y1, b.y1))
    iou = min(1.0, intersection / union)
    return iou, max(-1.0, iou - max(0.0, hull - union) / hull)  # rounding may make the hull smaller than the union


def assign(weights: Sequence[Sequence[float]]) -> list[int]:
    """The one-to-one assignment of rows to columns with the greatest total weight.

    The Hungarian algorithm in the form of shortest augmenting paths (Jonker and Volgenant 1987), O(rows^2 columns).

    Args:
        weights: A row of finite weights for each thing to assign; at least as many columns as rows.

    Returns:
        The column of each row.
    """
    n, m = len(weights), len(weights[0]) if weights else 0
    row_price = [0.0] * (n + 1)
    column_price = [0.0] * (m + 1)
    owner = [0] * (m + 1)  # the row (from 1) that owns a column (from 1); column 0 is where a search starts
    for row in range(1, n + 1):
        owner[0] = row
        column = 0
        slack = [math.inf] * (m + 1)
        before = [0] * (m + 1)
        done = [False] * (m + 1)
        while owner[column]:
            done[column] = True
            current, step, best = owner[column], math.inf, 0
            costs, price = weights[current - 1], row_price[current]
            for j in range(1, m + 1):
                if done[j]:
                    continue
                reduced = -costs[j - 1] - price - column_price[j]
                if reduced < slack[j]:
                    slack[j], before[j] = reduced, column
                if slack[j] < step:
                    step, best = slack[j], j
            for j in range(m + 1):
                if done[j]:
                    row_price[owner[j]] += step
                    column_price[j] -= step
                else:
                    slack[j] -= step
            column = best
        while column:
            owner[column], column = owner[before[column]], before[column]
    columns = [0] * n
    for j in range(1, m + 1):
        if owner[j]:
            columns[owner[j] - 1] = j - 1
    return columns
