"""From the coordinates a model writes to the coordinates of the reference.

The space is declared, never guessed from the size of the numbers. Undeclared, it is the reference's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardmesh.contract import (
    AnswerSpace,
    Box,
    BoxReference,
    InvalidReferenceError,
    InvalidRolloutError,
    Point,
    PointReference,
    Size,
)

# What the full width or height is written as. "pixels" and "resized" depend on an image.
_FULL = {"relative_1000": 1000.0, "relative_999": 999.0, "loc_1024": 1024.0, "percent": 100.0, "unit": 1.0}
_KINDS = ("pixels", "resized", *_FULL)
_ORDERS = ("xyxy", "yxyx", "xywh")

# kind and order by model family. "resized" ones also need the rollout's input_size.
PRESETS = {
    "qwen2-vl": ("relative_1000", "xyxy"),
    "qwen2.5-vl": ("resized", "xyxy"),
    "qwen3-vl": ("relative_1000", "xyxy"),
    "mimo-vl": ("resized", "xyxy"),
    "internvl": ("relative_1000", "xyxy"),
    "ui-tars": ("relative_1000", "xyxy"),
    "ui-tars-1.5": ("resized", "xyxy"),
    "gemini": ("relative_1000", "yxyx"),
    "paligemma": ("loc_1024", "yxyx"),
    "molmo": ("percent", "xyxy"),
    "kimi-vl": ("unit", "xyxy"),
    "glm-4.1v": ("relative_1000", "xyxy"),
    "minicpm-v": ("relative_1000", "xyxy"),
    "florence-2": ("relative_1000", "xyxy"),
    "deepseek-vl2": ("relative_999", "xyxy"),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """How to read one rollout's coordinates.

    Attributes:
        scale: Factors for x and y from the answer's space to the reference's.
        order: "xyxy", "yxyx" or "xywh".
        extent: Width and height of the image in the reference's units; None when unknown.
    """

    scale: tuple[float, float]
    order: str
    extent: tuple[float, float] | None

    def box(self, numbers: Sequence[float]) -> Box:
        """Four written numbers as a box in the reference's space; nothing is checked or clipped."""
        a, b, c, d = numbers
        if self.order == "yxyx":
            a, b, c, d = b, a, d, c
        elif self.order == "xywh":
            c, d = a + c, b + d
        sx, sy = self.scale
        return Box(a * sx, b * sy, c * sx, d * sy)

    def point(self, numbers: Sequence[float]) -> Point:
        """Two written numbers as a point in the reference's space; a model that writes y first does so here too."""
        x, y = reversed(numbers) if self.order == "yxyx" else numbers
        return Point(x * self.scale[0], y * self.scale[1])


def frame(space: AnswerSpace | None, reference: BoxReference | PointReference) -> Frame:
    """The frame in which a rollout's answer is to be read.

    Raises:
        InvalidReferenceError: The reference's space is unknown, or its image_size is missing and needed, or senseless.
        InvalidRolloutError: The answer space is unknown, or its input_size is missing and needed, or senseless.
    """
    image = reference.image_size
    if reference.space not in _KINDS:
        raise InvalidReferenceError(f"space must be one of {', '.join(_KINDS)}; got {reference.space!r}")
    if image is not None and min(image) <= 0:
        raise InvalidReferenceError(f"image_size must be positive, got {list(image)}")
    extent = _extent(reference.space, image, None)
    kind, order, seen = _declared(space)
    if kind in ("", reference.space):
        return Frame((1.0, 1.0), order, extent)
    if extent is None:
        raise InvalidReferenceError(
            f"an answer in {kind!r} cannot be compared with a reference in {reference.space!r} "
            + ("without its image_size" if reference.space == "pixels" else "pixels of an unknown size")
        )
    full = _extent(kind, image, seen)
    if full is None:
        if kind == "pixels":
            raise InvalidReferenceError(
                f"an answer in pixels needs the image_size of a reference in {reference.space!r}"
            )
        raise InvalidRolloutError("answer_space 'resized' needs input_size: the size of the image that the model saw")
    return Frame((extent[0] / full[0], extent[1] / full[1]), order, extent)


def _declared(space: AnswerSpace | None) -> tuple[str, str, Size | None]:
    """Kind ("" for the reference's own), order and input size, with the preset filled in."""
    if space is None:
        return "", "xyxy", None
    kind, order = space.kind, space.order
    if space.preset:
        if space.preset not in PRESETS:
            raise InvalidRolloutError(f"unknown answer_space preset {space.preset!r}; known: {', '.join(PRESETS)}")
        preset_kind, preset_order = PRESETS[space.preset]
        kind, order = kind or preset_kind, order or preset_order
    if kind and kind not in _KINDS:
        raise InvalidRolloutError(f"answer_space kind must be one of {', '.join(_KINDS)}; got {kind!r}")
    if order and order not in _ORDERS:
        raise InvalidRolloutError(f"answer_space order must be one of {', '.join(_ORDERS)}; got {order!r}")
    if space.input_size is not None and min(space.input_size) <= 0:
        raise InvalidRolloutError(f"answer_space input_size must be positive, got {list(space.input_size)}")
    return kind, order or "xyxy", space.input_size


def _extent(kind: str, image: Size | None, seen: Size | None) -> tuple[float, float] | None:
    """Full width and height in the units of a space."""
    if kind in _FULL:
        return _FULL[kind], _FULL[kind]
    size = image if kind == "pixels" else seen
    return None if size is None else (float(size.width), float(size.height))
