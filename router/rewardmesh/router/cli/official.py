"""The metrics that benchmarks publish, from the components of Scores.

Rewards report what their components measure whichever scorer pays for it, so no option of a reward changes a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from rewardmesh.contract.verdict import Score

Metric: TypeAlias = Callable[[Score], float | None]
"""What one rollout adds to a mean: a number in [0, 1]; None if the reward does not report what it takes."""


def _component(name: str) -> Metric:
    def metric(score: Score) -> float | None:
        # What was answered wrongly may have nothing to measure. What was paid for must have.
        return score.components.get(name, None if score.value else 0.0)

    return metric


def _at_least(name: str, threshold: float) -> Metric:
    def metric(score: Score) -> float | None:
        measured = _component(name)(score)
        return None if measured is None else float(measured >= threshold)

    return metric


def _right(score: Score) -> float:
    return float(score.value == 1.0)


def _hit(score: Score) -> float:
    """Whether a point lies where it should; a refusal, which lies nowhere, whether it is right (OSWorld-G)."""
    return score.components.get("inside", _right(score))


def _step(score: Score) -> float | None:
    """Whether the kind of action and all its arguments are right: the step success of AndroidControl and Mind2Web."""
    if "type" not in score.components:
        return None if score.value else 0.0
    return min(score.components.get(part, 1.0) for part in ("type", "point", "text", "direction"))


OFFICIAL: Mapping[str, Mapping[str, Metric]] = {
    "math": {"accuracy": _right},
    # RefCOCO counts a box as found from an IoU of 0.5 on.
    "grounding": {"acc@0.5": _at_least("iou", 0.5), "miou": _component("iou")},
    # ScreenSpot: the point, or the centre of the box, lies in the target.
    "point": {"accuracy": _hit},
    "counting": {"accuracy": _right},
    # QVHighlights and Charades-STA: the first segment against the gold window that it fits best.
    "temporal": {
        "r1@0.3": _at_least("iou", 0.3),
        "r1@0.5": _at_least("iou", 0.5),
        "r1@0.7": _at_least("iou", 0.7),
        "miou": _component("iou"),
    },
    "action": {"type_accuracy": _component("type"), "step_success": _step},
}
"""By task. Of other tasks only the mean reward is known."""
