"""From the coordinates a model writes to the coordinates of the reference.

The space is declared, by the rollout or by the reward's option `answer_space`, and never guessed from the size of the
numbers. Undeclared, plain numbers are in the reference's own space.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rewardmesh.contract import (
    ActionReference,
    AnswerSpace,
    Box,
    BoxReference,
    InvalidReferenceError,
    InvalidRolloutError,
    Point,
    PointReference,
    Size,
    SpaceUndeclaredError,
)
from rewardmesh.rewards.visual.declared import FULL, KINDS, NOTHING, Declared, declared
from rewardmesh.rewards.visual.smart_resize import smart_resize

_REMEMBERED = 1024  # frames: most rollouts share a few


class Frame(NamedTuple):
    """How to read one rollout's coordinates.

    Attributes:
        scale: Factors for x and y from the answer's space to the reference's.
        order: "xyxy", "yxyx" or "xywh".
        extent: Width and height of the image in the reference's units; None when unknown.
        own: The reference's space.
        is_declared: Whether anyone says which space the answer is in.
    """

    scale: tuple[float, float]
    order: str
    extent: tuple[float, float] | None
    own: str = "pixels"
    is_declared: bool = True

    def box(self, numbers: Sequence[float], space: str = "", named: bool = False) -> Box:
        """Four written numbers as a box in the reference's space; nothing is checked or clipped.

        Args:
            numbers: As written.
            space: The space that their format has by nature (`Candidate.space`); empty for plain numbers.
            named: They are written by name (`Candidate.named`): x1, y1, x2, y2 whatever the order.

        Raises:
            SpaceUndeclaredError: They have a space by nature, which is not the reference's, and none is declared.
        """
        if space:
            self._check(space)
        a, b, c, d = numbers
        if self.order != "xyxy" and not named:
            a, b, c, d = (b, a, d, c) if self.order == "yxyx" else (a, b, a + c, b + d)
        sx, sy = self.scale
        return Box(a * sx, b * sy, c * sx, d * sy)

    def point(self, numbers: Sequence[float], space: str = "", named: bool = False) -> Point:
        """Two written numbers as a point in the reference's space; a model that writes y first does so here too.

        Args and errors are those of `box`.
        """
        if space:
            self._check(space)
        x, y = reversed(numbers) if self.order == "yxyx" and not named else numbers
        return Point(x * self.scale[0], y * self.scale[1])

    def _check(self, space: str) -> None:
        if not self.is_declared and space != self.own:
            raise SpaceUndeclaredError(
                f"the answer is in a format whose coordinates are {space!r} by nature, and the reference is in "
                f"{self.own!r}: give the rollout an answer_space, or the reward an option answer_space"
            )


def frame(
    space: AnswerSpace | None,
    reference: BoxReference | PointReference | ActionReference,
    default: Declared = NOTHING,
) -> Frame:
    """The frame in which a rollout's answer is to be read.

    Args:
        space: What the rollout declares.
        reference: The ground truth.
        default: What the reward's option declares for rollouts that do not.

    Raises:
        InvalidReferenceError: The reference's space is unknown, or its image_size is missing and needed, or senseless.
        InvalidRolloutError: The answer space is unknown, or its input_size is missing and needed, or senseless.
        SpaceUndeclaredError: The reference has no space.
    """
    return _frame(space, reference.space, reference.image_size, default)


@lru_cache(_REMEMBERED)
def _frame(space: AnswerSpace | None, own: str, image: Size | None, default: Declared) -> Frame:
    if not own:
        raise SpaceUndeclaredError(f"the reference has no space; it must be one of {', '.join(KINDS)}")
    if own not in KINDS:
        raise InvalidReferenceError(f"space must be one of {', '.join(KINDS)}; got {own!r}")
    if image is not None and min(image) <= 0:
        raise InvalidReferenceError(f"image_size must be positive, got {list(image)}")
    extent = _extent(own, image, None)
    said = declared(space, default)
    if said.kind in ("", own):
        return Frame((1.0, 1.0), said.order, extent, own, bool(said.kind))
    if extent is None:
        raise InvalidReferenceError(
            f"an answer in {said.kind!r} cannot be compared with a reference in {own!r} "
            + ("without its image_size" if own == "pixels" else "pixels of an unknown size")
        )
    full = _extent(said.kind, image, _seen(said, image))
    if full is None:
        if said.kind == "pixels":
            raise InvalidReferenceError(f"an answer in pixels needs the image_size of a reference in {own!r}")
        raise InvalidRolloutError(
            "answer_space 'resized' needs input_size, the size of the image that the model saw, or a preset that "
            "computes it from the reference's image_size"
        )
    return Frame((extent[0] / full[0], extent[1] / full[1]), said.order, extent, own)


def _seen(said: Declared, image: Size | None) -> Size | None:
    """The size of the image that the model saw, if that is known."""
    if said.input_size is not None or said.resize is None or image is None or said.kind != "resized":
        return said.input_size
    try:
        return smart_resize(image, said.resize)
    except ValueError as error:
        raise InvalidReferenceError(f"image_size: {error}") from None


def _extent(kind: str, image: Size | None, seen: Size | None) -> tuple[float, float] | None:
    """Full width and height in the units of a space."""
    if kind in FULL:
        return FULL[kind], FULL[kind]
    size = image if kind == "pixels" else seen
    return None if size is None else (float(size.width), float(size.height))
