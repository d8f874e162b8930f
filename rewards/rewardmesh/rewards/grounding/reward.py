"""Visual grounding: boxes answered against reference boxes, by generalised IoU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rewardmesh.contract import Box, BoxReference, InvalidReferenceError, Rollout, Score
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.grounding.overlap import assign, iou_giou
from rewardmesh.rewards.visual.fit import fit_box
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES, Candidate, boxes
from rewardmesh.rewards.visual.space import Frame, frame

MAX_BOXES = 64  # matching takes cubic time


class GroundingReward:
    """(GIoU + 1) / 2, as in MiMo-VL (arXiv 2506.03569, section 3), mapped to [0, 1] so that near misses are ordered.

    One reference box takes the one box answered; different boxes side by side are `ambiguous`, the same box again is
    not. Several reference boxes are matched one to one with the boxes answered, and the sum over the matches is divided
    by the larger of the two numbers: boxes that are missing and boxes that are junk cost the same.
    """

    name = "grounding"
    version = "1"
    inline = True
    reads = ("completion", "reference", "answer_space")
    example: ClassVar[Rollout] = Rollout(
        "example", '[{"bbox_2d": [10, 20, 110, 220], "label": "cat"}]', reference=BoxReference([Box(10, 20, 110, 220)])
    )

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, with components `iou` and `giou`, or InvalidReferenceError or InvalidRolloutError."""
        return score_each(rollouts, _score)


def _score(rollout: Rollout) -> Score:
    reference = expect_reference(rollout, BoxReference)
    view = frame(rollout.answer_space, reference)
    truth = _truth(reference, view)
    found = boxes(rollout.completion)
    if not found:
        return Score(0.0, "no_answer")
    if len(truth) == 1 and len(found) <= MAX_CANDIDATES:
        different = len({candidate.numbers for candidate in found})
        if different > 1:
            return Score(0.0, "ambiguous", f"{different} different boxes were answered where one was asked for")
        found = found[-1:]
    if len(found) > MAX_BOXES:
        return Score(0.0, "too_many", f"more than {MAX_BOXES} boxes were answered")
    return _compare(truth, found, view)


def _compare(truth: Sequence[Box], found: Sequence[Candidate], view: Frame) -> Score:
    parsed = str([[round(n, 6) for n in candidate.numbers] for candidate in found])
    span = found[0].start, found[-1].end
    answered: list[Box] = []
    problem = ""
    for candidate in found:
        box, wrong = fit_box(view.box(candidate.numbers), view.extent)
        if wrong:
            problem = problem or wrong
        else:
            answered.append(box)
    if not answered:
        return Score(0.0, problem, "no answered box makes sense", parsed, span)
    pairs = [[iou_giou(t, a) for a in answered] for t in truth]
    if len(truth) > len(answered):
        pairs = [list(column) for column in zip(*pairs, strict=True)]
    matched = [pairs[i][j] for i, j in enumerate(assign([[giou for _, giou in row] for row in pairs]))]
    count = max(len(truth), len(found))  # boxes that make no sense are junk too
    components = {
        "iou": math.fsum(iou for iou, _ in matched) / count,
        "giou": (math.fsum(giou for _, giou in matched) - (count - len(matched))) / count,
    }
    return Score((components["giou"] + 1) / 2, problem or "ok", "", parsed, span, components)


def _truth(reference: BoxReference, view: Frame) -> list[Box]:
    if not 1 <= len(reference.boxes) <= MAX_BOXES:
        raise InvalidReferenceError(f"needs 1 to {MAX_BOXES} boxes, got {len(reference.boxes)}")
    if reference.labels and len(reference.labels) != len(reference.boxes):
        raise InvalidReferenceError(f"{len(reference.boxes)} boxes have {len(reference.labels)} labels")
    truth: list[Box] = []
    for i, given in enumerate(reference.boxes):
        box, wrong = fit_box(given, view.extent)
        if wrong:
            raise InvalidReferenceError(f"boxes[{i}] {list(given)} is {wrong}")
        truth.append(box)
    return truth
