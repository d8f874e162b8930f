"""The action asked for, and which of its parts an answer has right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rewardmesh.contract import ActionReference, AnswerSpace, InvalidReferenceError, Point, PointReference
from rewardmesh.rewards.action.kind import kind_of
from rewardmesh.rewards.action.text import normalised, same_keys, token_f1
from rewardmesh.rewards.point.region import Shape, inside, read_regions
from rewardmesh.rewards.visual.actions import ActionCandidate
from rewardmesh.rewards.visual.declared import Declared, declared
from rewardmesh.rewards.visual.fit import fit_box, fit_point
from rewardmesh.rewards.visual.space import Frame, frame

# Which way the content goes is not said by where a finger or a pointer goes; a stroke is the movement itself.
_STROKES = ("swipe", "drag")


class Target:
    """A reference, read.

    Args:
        reference: The ground truth.
        space: What the rollout declares of its answer space.
        default: What the reward's option declares.

    Attributes:
        kind: The kind of action.
        problem: Why the last answer's point is wrong: outside, no_point, or what is wrong with the point itself.

    Raises:
        InvalidReferenceError: It names no action, or its region makes no sense.
        InvalidRolloutError: The answer space makes no sense.
        SpaceUndeclaredError: The reference has a region and no space.
    """

    def __init__(self, reference: ActionReference, space: AnswerSpace | None, default: Declared) -> None:
        self.kind = kind_of(reference.action)
        if not self.kind:
            raise InvalidReferenceError("needs the name of an action")
        self.problem = ""
        self._reference = reference
        self._order = declared(space, default).order
        self._view: Frame | None = None
        self._shapes: list[Shape] = []
        if reference.region is not None:  # what has no place in the image needs no image_size
            self._view = frame(space, reference, default)
            region = PointReference([reference.region], reference.space, reference.image_size)
            self._shapes = read_regions(region, self._view)

    def parts(self, answer: ActionCandidate) -> dict[str, float]:
        """1 or 0 for each of `point`, `text`, `direction` that the reference has, and with `text` its `text_f1`.

        Raises:
            SpaceUndeclaredError: The point cannot be read without a declared space.
        """
        parts: dict[str, float] = {}
        if self._view is not None:
            self.problem = self._point_problem(answer, self._view)
            parts["point"] = float(not self.problem)
        truth = self._reference.text
        if truth is not None:
            answered = answer.text or ""
            same = same_keys(answered, truth) if self.kind == "key" else normalised(answered) == normalised(truth)
            parts["text"] = float(same)
            parts["text_f1"] = 1.0 if same else token_f1(answered, truth)
        if self._reference.direction is not None:
            parts["direction"] = float(self._direction(answer) == normalised(self._reference.direction))
        return parts

    def _point_problem(self, answer: ActionCandidate, view: Frame) -> str:
        if answer.point is None:
            return "no_point"
        point, problem = _placed(answer.point, answer, view)
        return problem or ("" if inside(self._shapes, point) else "outside")

    def _direction(self, answer: ActionCandidate) -> str:
        """The direction answered, or the one in which a stroke goes further in the answer's own units; else empty."""
        if answer.direction:
            return normalised(answer.direction)
        if self.kind not in _STROKES or answer.point is None or answer.end_point is None:
            return ""
        (ax, ay), (bx, by) = _middle(answer.point), _middle(answer.end_point)
        dx, dy = (by - ay, bx - ax) if self._order == "yxyx" and not answer.named else (bx - ax, by - ay)
        if not math.isfinite(dx) or not math.isfinite(dy) or abs(dx) == abs(dy):
            return ""
        if abs(dx) > abs(dy):
            return "right" if dx > 0 else "left"
        return "down" if dy > 0 else "up"


def _middle(numbers: Sequence[float]) -> tuple[float, float]:
    """A point, or the centre of a box, as written."""
    return (numbers[0] + numbers[-2]) / 2, (numbers[1] + numbers[-1]) / 2


def _placed(numbers: Sequence[float], answer: ActionCandidate, view: Frame) -> tuple[Point, str]:
    """A point, or the centre of a box, in the reference's space, and "" or what is wrong with it."""
    if len(numbers) == 4:
        box, problem = fit_box(view.box(numbers, answer.space, answer.named), view.extent)
        return Point((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2), problem
    return fit_point(view.point(numbers, answer.space, answer.named), view.extent)
