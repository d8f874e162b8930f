"""What one answered box earns for one reference box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, get_args

from rewardmesh.contract import Box
from rewardmesh.rewards.grounding.overlap import ciou, diou

ScorerName = Literal["giou", "giou_clip", "iou", "diou", "ciou", "threshold"]

Pay: TypeAlias = Callable[[Box, Box, float, float], float]
"""From two boxes, their IoU and their GIoU to a score in [0, 1]."""

# (x + 1) / 2 orders near misses. A CIoU below -1, of boxes far apart and of very different shapes, earns 0.
_PAY: Mapping[str, Pay] = {
    "giou": lambda a, b, iou, giou: (giou + 1) / 2,
    "giou_clip": lambda a, b, iou, giou: max(0.0, giou),
    "iou": lambda a, b, iou, giou: iou,
    "diou": lambda a, b, iou, giou: (diou(a, b, iou) + 1) / 2,
    "ciou": lambda a, b, iou, giou: max(0.0, (ciou(a, b, iou) + 1) / 2),
}


def pay_by(scorer: str) -> Pay:
    """The scorer of this name, except `threshold`.

    Raises:
        ValueError: There is none.
    """
    if scorer not in _PAY:
        raise ValueError(f"scorer must be one of {', '.join(get_args(ScorerName))}; got {scorer!r:.80}")
    return _PAY[scorer]


def pay_from(threshold: float) -> Pay:
    """1 for an IoU of at least `threshold`, else 0. Of as many hits the matching with more overlap is preferred."""
    return lambda a, b, iou, giou: 1.0 if iou >= threshold else 0.0
