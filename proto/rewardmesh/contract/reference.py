"""The ground truth a completion is compared with, one type per kind of task.

These types fix the shape only. Whether a reference makes sense (a box with an area, an answer that parses) is for the
reward to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeAlias

from rewardmesh.contract.errors import InvalidReferenceError


class Box(NamedTuple):
    """An axis-aligned box, x to the right and y down, in the units of the space it is given in."""

    x1: float
    y1: float
    x2: float
    y2: float


class Point(NamedTuple):
    """A point, x to the right and y down."""

    x: float
    y: float


class Segment(NamedTuple):
    """A stretch of time, in seconds."""

    start: float
    end: float


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed polygon; the last vertex is joined to the first."""

    vertices: tuple[Point, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", tuple(self.vertices))


Region: TypeAlias = Box | Polygon
"""A place in an image. Its boundary belongs to it."""


def _freeze(owner: object, name: str, value: Sequence[object]) -> None:
    if isinstance(value, str):
        raise TypeError(f"{type(owner).__name__}.{name} takes a list, got the text {value!r}")
    object.__setattr__(owner, name, tuple(value))


@dataclass(frozen=True, slots=True)
class MathReference:
    """Any one of `answers` is right. A truth that is a set or a list is one string. Surrounding $ are allowed."""

    type: ClassVar[str] = "math"
    answers: Sequence[str]

    def __post_init__(self) -> None:
        _freeze(self, "answers", self.answers)


@dataclass(frozen=True, slots=True)
class BoxReference:
    """All of `boxes` are to be found.

    Attributes:
        boxes: At least one box.
        space: What the coordinates are: "pixels" of the original image, or another kind of answer space.
        labels: One label per box, or empty.
        image_size: The original image's size in pixels; needed to convert between spaces.
    """

    type: ClassVar[str] = "boxes"
    boxes: Sequence[Box]
    space: str = "pixels"
    labels: Sequence[str] = ()
    image_size: Size | None = None

    def __post_init__(self) -> None:
        _freeze(self, "boxes", self.boxes)
        _freeze(self, "labels", self.labels)


@dataclass(frozen=True, slots=True)
class PointReference:
    """A point in any of `regions` is right; with `refusal`, only refusing to point is."""

    type: ClassVar[str] = "point"
    regions: Sequence[Region]
    space: str = "pixels"
    image_size: Size | None = None
    refusal: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "regions", self.regions)


@dataclass(frozen=True, slots=True)
class CountReference:
    """How many there are."""

    type: ClassVar[str] = "count"
    count: int


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """Where in a video something happens: segments in seconds, and the video's `duration` in seconds if known."""

    type: ClassVar[str] = "segments"
    segments: Sequence[Segment]
    duration: float | None = None

    def __post_init__(self) -> None:
        _freeze(self, "segments", self.segments)


@dataclass(frozen=True, slots=True)
class ActionReference:
    """A GUI action: its type and, as far as the type needs them, a region, a text, a direction."""

    type: ClassVar[str] = "action"
    action: str
    region: Region | None = None
    text: str | None = None
    direction: str | None = None
    space: str = "pixels"
    image_size: Size | None = None


@dataclass(frozen=True, slots=True)
class PreferenceReference:
    """Reference completions, for rewards that compare with them. May be empty."""

    type: ClassVar[str] = "preference"
    completions: Sequence[str] = ()

    def __post_init__(self) -> None:
        _freeze(self, "completions", self.completions)


_BUILT_IN = frozenset(
    kind.type
    for kind in (
        MathReference,
        BoxReference,
        PointReference,
        CountReference,
        SegmentReference,
        ActionReference,
        PreferenceReference,
    )
)


@dataclass(frozen=True, slots=True)
class FreeReference:
    """A plugin's own reference: its type and the other fields of its JSON object.

    Raises:
        InvalidReferenceError: The type is a built-in one, which has a class of its own, or a field is called "type".
    """

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.type in _BUILT_IN:
            raise InvalidReferenceError(
                f"a plugin's reference cannot have the type {self.type!r}: that is a built-in one, with its own class"
            )
        if "type" in self.fields:
            raise InvalidReferenceError("a plugin's reference cannot have a field 'type': that is the type's own place")


Reference: TypeAlias = (
    MathReference
    | BoxReference
    | PointReference
    | CountReference
    | SegmentReference
    | ActionReference
    | PreferenceReference
    | FreeReference
)
