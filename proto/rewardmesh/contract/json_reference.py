"""The JSON form of references: `{"type": "boxes", "boxes": [[x1, y1, x2, y2]], ...}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rewardmesh.contract.errors import InvalidReferenceError as Invalid
from rewardmesh.contract.json_shape import (
    Fields,
    boolean_of,
    check_json,
    integer_of,
    list_of,
    number_of,
    numbers_of,
    size_of,
    text_of,
)
from rewardmesh.contract.reference import (
    ActionReference,
    Box,
    BoxReference,
    CountReference,
    FreeReference,
    MathReference,
    Point,
    PointReference,
    Polygon,
    PreferenceReference,
    Reference,
    Region,
    Segment,
    SegmentReference,
    Size,
)

T = TypeVar("T")


def reference_from_json(value: object, path: str = "reference") -> Reference:
    """A reference from a decoded JSON object. Raises InvalidReferenceError, naming the field."""
    fields = Fields(value, path, Invalid)
    kind = fields.text("type")
    read = _READERS.get(kind)
    if read is None:
        rest = fields.rest()
        check_json(rest, path, Invalid)
        return FreeReference(kind, rest)
    reference = read(fields)
    fields.finish()
    return reference


def reference_to_json(reference: Reference) -> dict[str, Any]:
    """The JSON object of a reference; fields that are absent or at their default are left out."""
    match reference:
        case FreeReference():
            return {"type": reference.type, **reference.fields}
        case MathReference():
            fields: dict[str, Any] = {"answers": list(reference.answers)}
        case BoxReference():
            fields = {
                "boxes": [list(box) for box in reference.boxes],
                "space": reference.space,
                "labels": list(reference.labels) or None,
                "image_size": _size_to_json(reference.image_size),
            }
        case PointReference():
            fields = {
                "regions": [_region_to_json(region) for region in reference.regions],
                "space": reference.space,
                "image_size": _size_to_json(reference.image_size),
                "refusal": reference.refusal or None,
            }
        case CountReference():
            fields = {"count": reference.count}
        case SegmentReference():
            fields = {"segments": [list(segment) for segment in reference.segments], "duration": reference.duration}
        case ActionReference():
            fields = {
                "action": reference.action,
                "region": None if reference.region is None else _region_to_json(reference.region),
                "text": reference.text,
                "direction": reference.direction,
                "space": reference.space,
                "image_size": _size_to_json(reference.image_size),
            }
        case PreferenceReference():
            fields = {"completions": list(reference.completions) or None}
    return {"type": reference.type, **{name: value for name, value in fields.items() if value is not None}}


def _math(fields: Fields) -> MathReference:
    return MathReference(fields.required("answers", _list_of(_text)))


def _boxes(fields: Fields) -> BoxReference:
    return BoxReference(
        boxes=fields.required("boxes", _list_of(_box)),
        space=fields.text("space", "pixels"),
        labels=fields.optional("labels", _list_of(_text), ()),
        image_size=fields.optional("image_size", _size, None),
    )


def _point(fields: Fields) -> PointReference:
    return PointReference(
        regions=fields.required("regions", _list_of(_region)),
        space=fields.text("space", "pixels"),
        image_size=fields.optional("image_size", _size, None),
        refusal=fields.optional("refusal", _boolean, False),
    )


def _count(fields: Fields) -> CountReference:
    return CountReference(fields.required("count", _integer))


def _segments(fields: Fields) -> SegmentReference:
    return SegmentReference(
        segments=fields.required("segments", _list_of(_segment)),
        duration=fields.optional("duration", _number, None),
    )


def _action(fields: Fields) -> ActionReference:
    return ActionReference(
        action=fields.text("action"),
        region=fields.optional("region", _region, None),
        text=fields.optional("text", _text, None),
        direction=fields.optional("direction", _text, None),
        space=fields.text("space", "pixels"),
        image_size=fields.optional("image_size", _size, None),
    )


def _preference(fields: Fields) -> PreferenceReference:
    return PreferenceReference(fields.optional("completions", _list_of(_text), ()))


_READERS: dict[str, Callable[[Fields], Reference]] = {
    "math": _math,
    "boxes": _boxes,
    "point": _point,
    "count": _count,
    "segments": _segments,
    "action": _action,
    "preference": _preference,
}


def _list_of(read: Callable[[object, str], T]) -> Callable[[object, str], tuple[T, ...]]:
    return list_of(read, Invalid)


def _text(value: object, path: str) -> str:
    return text_of(value, path, Invalid)


def _number(value: object, path: str) -> float:
    return number_of(value, path, Invalid)


def _boolean(value: object, path: str) -> bool:
    return boolean_of(value, path, Invalid)


def _integer(value: object, path: str) -> int:
    return integer_of(value, path, Invalid)


def _size(value: object, path: str) -> Size:
    return size_of(value, path, Invalid)


def _box(value: object, path: str) -> Box:
    return Box(*numbers_of(value, path, 4, Invalid))


def _vertex(value: object, path: str) -> Point:
    return Point(*numbers_of(value, path, 2, Invalid))


def _segment(value: object, path: str) -> Segment:
    return Segment(*numbers_of(value, path, 2, Invalid))


def _region(value: object, path: str) -> Region:
    fields = Fields(value, path, Invalid)
    box = fields.optional("box", _box, None)
    vertices = fields.optional("polygon", _list_of(_vertex), None)
    fields.finish()
    if box is not None and vertices is None:
        return box
    if vertices is not None and box is None:
        return Polygon(vertices)
    raise Invalid(f"{path} must have either a box or a polygon")


def _region_to_json(region: Region) -> dict[str, Any]:
    if isinstance(region, Box):
        return {"box": list(region)}
    return {"polygon": [list(vertex) for vertex in region.vertices]}


def _size_to_json(size: Size | None) -> list[int] | None:
    return None if size is None else list(size)
