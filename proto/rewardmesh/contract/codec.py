"""Nouns to `rewardmesh.v1` messages and back. Bytes become nouns and nouns become bytes here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from rewardmesh.contract.codec_reference import decode_reference, write_reference
from rewardmesh.contract.codec_verdict import (
    decode_failure,
    decode_response,
    decode_verdict,
    encode_failure,
    encode_response,
    encode_verdict,
)
from rewardmesh.contract.errors import InvalidRolloutError
from rewardmesh.contract.json_shape import check_json, show
from rewardmesh.contract.reference import Reference, Size
from rewardmesh.contract.rollout import AnswerSpace, Image, ImagePart, Message, Part, Rollout, TextPart
from rewardmesh.v1 import reward_pb2 as pb

__all__ = [
    "decode_failure",
    "decode_response",
    "decode_rollout",
    "decode_verdict",
    "dump_json",
    "encode_failure",
    "encode_response",
    "encode_rollout",
    "encode_verdict",
]

# References of the last few groups: a list of boxes takes a KB.
_REMEMBERED = 1024


def encode_rollout(rollout: Rollout, reference: pb.Reference | None = None) -> pb.Rollout:
    """The message of a rollout.

    Args:
        rollout: What to encode.
        reference: Its reference's message, where that is known: the completions of a group share one.

    Raises:
        InvalidRolloutError: The id is missing, a text holds a lone surrogate, a number is out of range, or a field has
            the wrong type.
        InvalidReferenceError: The same inside the reference.
    """
    try:
        message = pb.Rollout(
            id=rollout.id,
            group=rollout.group,
            task=rollout.task,
            source=rollout.source,
            completion=rollout.completion,
            truncated=rollout.truncated,
            policy_version=rollout.policy_version,
            step=rollout.step,
        )
        if isinstance(rollout.prompt, str):
            if rollout.prompt:
                message.prompt = rollout.prompt
        else:
            message.messages.extend(_encode_message(m) for m in rollout.prompt)
        if rollout.answer_space is not None:
            message.answer_space.CopyFrom(_encode_space(rollout.answer_space))
        for image in rollout.images:
            message.images.append(pb.Image(uri=image.uri) if image.uri else pb.Image(data=image.data))
        if rollout.metadata:
            message.metadata_json = dump_json(rollout.metadata, "metadata")
    except (TypeError, ValueError, AttributeError) as error:  # UnicodeEncodeError is a ValueError
        raise _invalid(rollout, error) from None
    _need_id_and_completion(message)  # protobuf takes None for absent
    if rollout.reference is not None:
        if reference is None:
            write_reference(message.reference, rollout.reference)
        else:
            message.reference.CopyFrom(reference)
    return message


def decode_rollout(message: pb.Rollout) -> Rollout:
    """The rollout in a message.

    Raises:
        InvalidRolloutError: The completion or the id is missing, or the metadata is not a JSON object.
        InvalidReferenceError: A plugin's reference is not a JSON object.
    """
    _need_id_and_completion(message)
    if message.messages and message.HasField("prompt"):
        raise InvalidRolloutError("a rollout has either prompt or messages, got both")
    metadata = message.metadata_json
    return Rollout(  # by place: by name takes a microsecond more
        message.id,
        message.completion,
        tuple(_decode_message(m) for m in message.messages) if message.messages else message.prompt,
        _reference(message.reference.SerializeToString()) if message.HasField("reference") else None,
        message.task,
        message.source,
        message.group,
        _decode_space(message.answer_space) if message.HasField("answer_space") else None,
        tuple(Image(data=i.data, uri=i.uri) for i in message.images) if message.images else (),
        message.truncated,
        message.policy_version if message.HasField("policy_version") else None,
        message.step if message.HasField("step") else None,
        _load_object(metadata, "metadata") if metadata else {},
    )


@lru_cache(maxsize=_REMEMBERED)
def _reference(data: bytes) -> Reference:
    """The reference in a message. The completions of a group share one, and are decoded one after the other."""
    return decode_reference(pb.Reference.FromString(data))


def dump_json(value: Mapping[str, Any], path: str) -> str:
    """Free-form values travel as JSON text, so that 3 stays 3."""
    if not isinstance(value, dict):
        raise InvalidRolloutError(f"{path} must be a dict, got {show(value)}")
    check_json(cast(object, value), path, InvalidRolloutError)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except TypeError as error:
        raise InvalidRolloutError(f"{path}: {error}") from None


def _need_id_and_completion(message: pb.Rollout) -> None:
    if not message.HasField("completion"):
        raise InvalidRolloutError("completion is missing")
    if not message.id:
        raise InvalidRolloutError("id is missing")


def _load_object(text: str, path: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRolloutError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidRolloutError(f"{path} must be a JSON object, got {show(value)}")
    check_json(cast(object, value), path, InvalidRolloutError)
    return cast(dict[str, Any], value)


def _encode_message(message: Message) -> pb.Message:
    if isinstance(message.content, str):
        return pb.Message(role=message.role, text=message.content)
    return pb.Message(role=message.role, parts=[_encode_part(p) for p in message.content])


def _encode_part(part: Part) -> pb.Part:
    return pb.Part(text=part.text) if isinstance(part, TextPart) else pb.Part(image=part.image)


def _decode_message(message: pb.Message) -> Message:
    return Message(message.role, message.text if message.HasField("text") else _decode_parts(message.parts))


def _decode_parts(parts: Sequence[pb.Part]) -> tuple[Part, ...]:
    return tuple(ImagePart(p.image) if p.HasField("image") else TextPart(p.text) for p in parts)


def _encode_space(space: AnswerSpace) -> pb.AnswerSpace:
    size = None if space.input_size is None else pb.Size(width=space.input_size[0], height=space.input_size[1])
    return pb.AnswerSpace(kind=space.kind, order=space.order, input_size=size, preset=space.preset)


def _decode_space(space: pb.AnswerSpace) -> AnswerSpace:
    size = Size(space.input_size.width, space.input_size.height) if space.HasField("input_size") else None
    return AnswerSpace(space.kind, space.order, size, space.preset)


def _invalid(rollout: Rollout, error: Exception) -> InvalidRolloutError:
    """Says which field protobuf stumbled over; it does not."""
    if isinstance(error, InvalidRolloutError):
        return error
    for name in ("id", "group", "task", "source", "completion", "prompt"):
        value = getattr(rollout, name)
        if isinstance(value, str):
            try:
                check_json(value, name, InvalidRolloutError)
            except InvalidRolloutError as found:
                return found
    return InvalidRolloutError(f"a field cannot be encoded: {error}")
