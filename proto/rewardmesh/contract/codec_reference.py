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


def write_reference(message: pb.Reference, reference: Reference) -> None:
    """Writes a reference into an empty message. Raises InvalidReferenceError for what protobuf cannot carry."""
    if not isinstance(reference, Reference):  # pyright: ignore[reportUnnecessaryIsInstance] -- a dict is a common slip
        raise InvalidReferenceError(f"a reference must be of a type of rewardmesh.contract, got {show(reference)}")
    try:
        _write(message, reference)
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


def _write(message: pb.Reference, reference: Reference) -> None:
    """In place: to build messages and copy them in takes twice as long."""
    match reference:
        case CountReference():
            message.count.SetInParent()
            message.count.count = reference.count
        case BoxReference():
            boxes = message.boxes
            boxes.space = reference.space
            boxes.labels.extend(reference.labels)
            for box in reference.boxes:
                _write_box(boxes.boxes.add(), box)
            _write_size(boxes, reference.image_size)
        case PointReference():
            point = message.point
            point.space, point.refusal = reference.space, reference.refusal
            for region in reference.regions:
                _write_region(point.regions.add(), region)
            _write_size(point, reference.image_size)
        case SegmentReference():
            message.segments.SetInParent()
            for start, end in reference.segments:
                segment = message.segments.segments.add()
                segment.start, segment.end = start, end
            if reference.duration is not None:
                message.segments.duration = reference.duration
        case MathReference():
            message.math.SetInParent()
            message.math.answers.extend(reference.answers)
        case ActionReference():
            action = message.action
            action.action, action.space = reference.action, reference.space
            if reference.region is not None:
                _write_region(action.region, reference.region)
            if reference.text is not None:
                action.text = reference.text
            if reference.direction is not None:
                action.direction = reference.direction
            _write_size(action, reference.image_size)
        case PreferenceReference():
            message.preference.SetInParent()
            message.preference.completions.extend(reference.completions)
        case FreeReference():
            check_json(reference.fields, "reference", InvalidReferenceError)
            message.free.type = reference.type
            message.free.fields_json = json.dumps(reference.fields, ensure_ascii=False, separators=(",", ":"))


def _write_box(message: pb.Box, box: Box) -> None:
    message.SetInParent()
    message.x1, message.y1, message.x2, message.y2 = box


def _write_region(message: pb.Region, region: Region) -> None:
    if isinstance(region, Polygon):
        message.polygon.SetInParent()
        for x, y in region.vertices:
            vertex = message.polygon.vertices.add()
            vertex.x, vertex.y = x, y
    else:
        _write_box(message.box, region)


def _decode_region(message: pb.Region) -> Region:
    match message.WhichOneof("kind"):
        case "box":
            return Box(message.box.x1, message.box.y1, message.box.x2, message.box.y2)
        case "polygon":
            return Polygon(tuple(Point(v.x, v.y) for v in message.polygon.vertices))
        case _:
            raise InvalidReferenceError("a region must have a box or a polygon")


def _write_size(message: pb.BoxReference | pb.PointReference | pb.ActionReference, size: Size | None) -> None:
    if size is not None:
        message.image_size.SetInParent()
        message.image_size.width, message.image_size.height = size


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
