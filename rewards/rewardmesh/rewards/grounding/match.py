"""Answered boxes matched with reference boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rewardmesh.contract import Box
from rewardmesh.rewards.grounding.overlap import iou_giou
from rewardmesh.rewards.grounding.scorer import Pay
from rewardmesh.rewards.grounding.truth import Truth
from rewardmesh.rewards.visual.matching import f1, pairs

HIT = 0.5  # the IoU from which RefCOCO, PASCAL VOC and others call a box found
_TIE = 2.0**-30  # of matchings that earn the same, the one with more overlap


class Match(NamedTuple):
    """What the answered boxes come to.

    Attributes:
        value: The soft F1 of the matches' scores, in [0, 1].
        components: `iou` and `giou`, their mean with what is unmatched counted as 0 and -1; `precision` and `recall`,
            whose harmonic mean is the value; `matched`, the number of matches of IoU >= 0.5.
        mislabelled: Nothing was earned, and something would have been but for the labels.
    """

    value: float
    components: dict[str, float]
    mislabelled: bool = False


def match(truth: Truth, found: Sequence[Box], labels: Sequence[str], answered: int, pay: Pay, by_label: bool) -> Match:
    """Matches boxes one to one so that they earn most.

    Args:
        truth: The reference.
        found: The answered boxes that make sense, at least one.
        labels: One for each of them, normalised, empty when it has none; of no use where the reference has none.
        answered: How many boxes were answered, senseless ones included.
        pay: What a match earns.
        by_label: Boxes match only if their labels agree, where the reference has labels.
    """
    if len(truth.boxes) == 1 and answered == 1:  # most rollouts
        return _one(truth, found[0], labels[0], pay, by_label)
    measured = [[iou_giou(box, one) for one in found] for box in truth.boxes]
    scores = [
        [pay(box, one, *measures) for one, measures in zip(found, row, strict=True)]
        for box, row in zip(truth.boxes, measured, strict=True)
    ]
    gated = by_label and bool(truth.labels)
    agreed = [[not gated or _agree(truth, i, label) for label in labels] for i in range(len(truth.boxes))]
    weights = [
        [score + _TIE * iou if ok else 0.0 for score, (iou, _), ok in zip(*rows, strict=True)]
        for rows in zip(scores, measured, agreed, strict=True)
    ]
    chosen = [(i, j) for i, j in pairs(weights) if agreed[i][j]]
    total = math.fsum(scores[i][j] for i, j in chosen)
    asked = len(truth.boxes)
    components = _components(
        f1(math.fsum(measured[i][j][0] for i, j in chosen), asked, answered),
        2 * f1(math.fsum((measured[i][j][1] + 1) / 2 for i, j in chosen), asked, answered) - 1,
        min(1.0, total / answered),
        min(1.0, total / asked),
        float(sum(measured[i][j][0] >= HIT for i, j in chosen)),
    )
    mislabelled = gated and total == 0 and any(score > 0 for row in scores for score in row)
    return Match(f1(total, asked, answered), components, mislabelled)


def _one(truth: Truth, found: Box, label: str, pay: Pay, by_label: bool) -> Match:
    box = truth.boxes[0]
    iou, giou = iou_giou(box, found)
    earned = pay(box, found, iou, giou)
    if by_label and truth.labels and not _agree(truth, 0, label):
        return Match(0.0, _components(0.0, -1.0, 0.0, 0.0, 0.0), earned > 0)
    hit = 1.0 if iou >= HIT else 0.0
    return Match(earned, {"iou": iou, "giou": giou, "precision": earned, "recall": earned, "matched": hit})


def _agree(truth: Truth, index: int, label: str) -> bool:
    """Whether an answered label is that of a reference box. None at all is, if only one kind of thing was asked for."""
    wanted = truth.labels[index]
    return label == wanted or not wanted or (not label and truth.one_kind)


def _components(iou: float, giou: float, precision: float, recall: float, matched: float) -> dict[str, float]:
    return {"iou": iou, "giou": giou, "precision": precision, "recall": recall, "matched": matched}
