"""References to `rewardmesh.v1` messages and back."""

from __future__ import annotations

import json
from typing import Any, cast

from rewardmesh.contract.errors import InvalidReferenceError
from rewardmesh.contract.json_shape import check_json, show
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
from rewardmesh.v1 import reward_pb2 as pb


def encode_reference(reference: Reference) -> pb.Reference:
    """The message of a reference. Raises InvalidReferenceError for what protobuf cannot carry."""
    if not isinstance(reference, Reference):  # pyright: ignore[reportUnnecessaryIsInstance] -- a dict is a common slip
        raise InvalidReferenceError(f"a reference must be of a type of rewardmesh.contract, got {show(reference)}")
    try:
        return _encode(reference)
    except InvalidReferenceError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidReferenceError(f"the {reference.type} reference cannot be encoded: {error}") from None


def decode_reference(message: pb.Reference) -> Reference:
    """The reference in a message. Raises InvalidReferenceError when it has no kind or free fields are not JSON."""
    match message.WhichOneof("kind"):
        case "math":
            return MathReference(tuple(message.math.answers))
        case "boxes":
            m = message.boxes
            boxes = tuple(Box(b.x1, b.y1, b.x2, b.y2) for b in m.boxes)
            return BoxReference(boxes, m.space or "pixels", tuple(m.labels), _decode_size(m))
        case "point":
            p = message.point
            return PointReference(
                tuple(map(_decode_region, p.regions)), p.space or "pixels", _decode_size(p), p.refusal
            )
        case "count":
            return CountReference(message.count.count)
        case "segments":
            s = message.segments
            segments = tuple(Segment(t.start, t.end) for t in s.segments)
            return SegmentReference(segments, s.duration if s.HasField("duration") else None)
        case "action":
            a = message.action
            return ActionReference(
                action=a.action,
                region=_decode_region(a.region) if a.HasField("region") else None,
                text=a.text if a.HasField("text") else None,
                direction=a.direction if a.HasField("direction") else None,
                space=a.space or "pixels",
                image_size=_decode_size(a),
            )
        case "preference":
            return PreferenceReference(tuple(message.preference.completions))
        case "free":
            return FreeReference(message.free.type, _load_fields(message.free.fields_json))
        case _:
            raise InvalidReferenceError("reference has no type this version knows")


def _encode(reference: Reference) -> pb.Reference:
    match reference:
        case MathReference():
            return pb.Reference(math=pb.MathReference(answers=reference.answers))
        case BoxReference():
            return pb.Reference(
                boxes=pb.BoxReference(
                    boxes=[_encode_box(b) for b in reference.boxes],
                    space=reference.space,
                    labels=reference.labels,
                    image_size=_encode_size(reference.image_size),
                )
            )
        case PointReference():
            return pb.Reference(
                point=pb.PointReference(
                    regions=[_encode_region(r) for r in reference.regions],
                    space=reference.space,
                    image_size=_encode_size(reference.image_size),
                    refusal=reference.refusal,
                )
            )
        case CountReference():
            return pb.Reference(count=pb.CountReference(count=reference.count))
        case SegmentReference():
            segments = [pb.Segment(start=s[0], end=s[1]) for s in reference.segments]
            return pb.Reference(segments=pb.SegmentReference(segments=segments, duration=reference.duration))
        case ActionReference():
            return pb.Reference(
                action=pb.ActionReference(
                    action=reference.action,
                    region=None if reference.region is None else _encode_region(reference.region),
                    text=reference.text,
                    direction=reference.direction,
                    space=reference.space,
                    image_size=_encode_size(reference.image_size),
                )
            )
        case PreferenceReference():
            return pb.Reference(preference=pb.PreferenceReference(completions=reference.completions))
        case FreeReference():
            check_json(reference.fields, "reference", InvalidReferenceError)
            fields = json.dumps(reference.fields, ensure_ascii=False, separators=(",", ":"))
            return pb.Reference(free=pb.FreeReference(type=reference.type, fields_json=fields))


def _encode_box(box: Box) -> pb.Box:
    x1, y1, x2, y2 = box
    return pb.Box(x1=x1, y1=y1, x2=x2, y2=y2)


def _encode_region(region: Region) -> pb.Region:
    if isinstance(region, Polygon):
        return pb.Region(polygon=pb.Polygon(vertices=[pb.Point(x=v[0], y=v[1]) for v in region.vertices]))
    return pb.Region(box=_encode_box(region))


def _decode_region(message: pb.Region) -> Region:
    match message.WhichOneof("kind"):
        case "box":
            return Box(message.box.x1, message.box.y1, message.box.x2, message.box.y2)
        case "polygon":
            return Polygon(tuple(Point(v.x, v.y) for v in message.polygon.vertices))
        case _:
            raise InvalidReferenceError("a region must have a box or a polygon")


def _encode_size(size: Size | None) -> pb.Size | None:
    return None if size is None else pb.Size(width=size[0], height=size[1])


def _decode_size(message: pb.BoxReference | pb.PointReference | pb.ActionReference) -> Size | None:
    return Size(message.image_size.width, message.image_size.height) if message.HasField("image_size") else None


def _load_fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidReferenceError(f"reference is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidReferenceError(f"reference must be a JSON object, got {show(fields)}")
    check_json(cast(object, fields), "reference", InvalidReferenceError)
    return cast(dict[str, Any], fields)
