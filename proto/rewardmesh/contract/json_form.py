"""The JSON form of rollouts and verdicts: what files, the CLI and the HTTP gateway speak, one object a line.

Reading refuses what the form does not know, naming the field; writing leaves out what is at its default. Both ways are
lossless: `read_rollout(write_rollout(r)) == r`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from rewardmesh.contract.errors import InvalidRolloutError
from rewardmesh.contract.json_reference import reference_from_json, reference_to_json
from rewardmesh.contract.json_shape import Fields, boolean_of, check_json, integer_of, list_of, show, size_of
from rewardmesh.contract.json_verdict import verdict_from_json, verdict_to_json
from rewardmesh.contract.rollout import AnswerSpace, Image, ImagePart, Message, Part, Rollout, TextPart
from rewardmesh.contract.verdict import Verdict

T = TypeVar("T")


def read_rollout(line: str | bytes) -> Rollout:
    """Reads one line.

    Raises:
        InvalidRolloutError: The line is not JSON, not an object, or a field is missing, unknown or of the wrong type.
        InvalidReferenceError: The same for a field of the reference.
    """
    return rollout_from_json(_loads(line))


def write_rollout(rollout: Rollout) -> str:
    """Writes one line, without the line's end."""
    return _dumps(rollout_to_json(rollout))


def read_verdict(line: str | bytes) -> Verdict:
    """Reads one line. Raises InvalidRolloutError when it is no verdict."""
    return verdict_from_json(_loads(line))


def write_verdict(verdict: Verdict) -> str:
    """Writes one line, without the line's end."""
    return _dumps(verdict_to_json(verdict))


def rollout_from_json(value: object) -> Rollout:
    """A rollout from a decoded JSON object; raises as `read_rollout` does."""
    fields = Fields(value, "", InvalidRolloutError)
    rollout = Rollout(
        id=fields.text("id"),
        completion=fields.text("completion"),
        prompt=fields.optional("prompt", _prompt, ""),
        reference=fields.optional("reference", reference_from_json, None),
        task=fields.text("task", ""),
        source=fields.text("source", ""),
        group=fields.text("group", ""),
        answer_space=fields.optional("answer_space", _answer_space, None),
        images=fields.optional("images", _list_of(_image), ()),
        truncated=fields.optional("truncated", _boolean, False),
        policy_version=fields.optional("policy_version", _integer, None),
        step=fields.optional("step", _integer, None),
        metadata=fields.optional("metadata", _metadata, {}),
    )
    fields.finish()
    if not rollout.id:
        raise InvalidRolloutError("id is missing")
    return rollout


def rollout_to_json(rollout: Rollout) -> dict[str, Any]:
    """The JSON object of a rollout."""
    out: dict[str, Any] = {"id": rollout.id}
    for name in ("group", "task", "source"):
        if getattr(rollout, name):
            out[name] = getattr(rollout, name)
    if rollout.prompt != "":
        prompt = rollout.prompt
        out["prompt"] = prompt if isinstance(prompt, str) else [_message_to_json(m) for m in prompt]
    out["completion"] = rollout.completion
    if rollout.reference is not None:
        out["reference"] = reference_to_json(rollout.reference)
    if rollout.answer_space is not None:
        space = rollout.answer_space
        pairs = {"kind": space.kind, "order": space.order, "preset": space.preset}
        size = {} if space.input_size is None else {"input_size": list(space.input_size)}
        out["answer_space"] = {k: v for k, v in pairs.items() if v} | size
    if rollout.images:
        out["images"] = [_image_to_json(i) for i in rollout.images]
    if rollout.truncated:
        out["truncated"] = True
    for name in ("policy_version", "step"):
        if getattr(rollout, name) is not None:
            out[name] = getattr(rollout, name)
    if rollout.metadata:
        out["metadata"] = dict(rollout.metadata)
    return out


def _loads(line: str | bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError covers bad JSON, bad UTF-8, over-long integers
        raise InvalidRolloutError(f"not JSON: {error}") from None


def _dumps(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRolloutError(f"cannot be written as JSON: {error}") from None


def _boolean(value: object, path: str) -> bool:
    return boolean_of(value, path, InvalidRolloutError)


def _integer(value: object, path: str) -> int:
    return integer_of(value, path, InvalidRolloutError)


def _metadata(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRolloutError(f"{path} must be an object, got {show(value)}")
    check_json(cast(object, value), path, InvalidRolloutError)
    return cast(dict[str, Any], value)


def _list_of(read: Callable[[object, str], T]) -> Callable[[object, str], tuple[T, ...]]:
    return list_of(read, InvalidRolloutError)


def _prompt(value: object, path: str) -> str | tuple[Message, ...]:
    if isinstance(value, str):
        check_json(value, path, InvalidRolloutError)
        return value
    return _list_of(_message)(value, path) or ""  # no messages are no prompt, here as on the wire


def _message(value: object, path: str) -> Message:
    fields = Fields(value, path, InvalidRolloutError)
    message = Message(role=fields.text("role"), content=fields.required("content", _content))
    fields.finish()
    return message


def _content(value: object, path: str) -> str | tuple[Part, ...]:
    if isinstance(value, str):
        check_json(value, path, InvalidRolloutError)
        return value
    return _list_of(_part)(value, path)


def _part(value: object, path: str) -> Part:
    fields = Fields(value, path, InvalidRolloutError)
    kind = fields.text("type")
    if kind == "text":
        part: Part = TextPart(fields.text("text"))
    elif kind == "image":
        part = ImagePart(fields.required("image", _index))
    else:
        raise InvalidRolloutError(f"{path}.type must be 'text' or 'image', got {show(kind)}")
    fields.finish()
    return part


def _index(value: object, path: str) -> int:
    index = _integer(value, path)
    if not 0 <= index < 2**32:
        raise InvalidRolloutError(f"{path} must be an index into images, got {index}")
    return index


def _message_to_json(message: Message) -> dict[str, Any]:
    content = message.content
    return {
        "role": message.role,
        "content": content if isinstance(content, str) else [_part_to_json(p) for p in content],
    }


def _part_to_json(part: Part) -> dict[str, Any]:
    return {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image", "image": part.image}


def _image(value: object, path: str) -> Image:
    fields = Fields(value, path, InvalidRolloutError)
    data, uri = fields.text("data", ""), fields.text("uri", "")
    fields.finish()
    if bool(data) == bool(uri):
        raise InvalidRolloutError(f"{path} must have either data (base64) or uri")
    try:
        return Image(uri=uri) if uri else Image(data=base64.b64decode(data, validate=True))
    except ValueError as error:  # binascii.Error, or a letter beyond ASCII
        raise InvalidRolloutError(f"{path}.data is not base64: {error}") from None


def _image_to_json(image: Image) -> dict[str, str]:
    return {"uri": image.uri} if image.uri else {"data": base64.b64encode(image.data).decode("ascii")}


def _answer_space(value: object, path: str) -> AnswerSpace:
    fields = Fields(value, path, InvalidRolloutError)
    space = AnswerSpace(
        kind=fields.text("kind", ""),
        order=fields.text("order", ""),
        input_size=fields.optional("input_size", lambda v, p: size_of(v, p, InvalidRolloutError), None),
        preset=fields.text("preset", ""),
    )
    fields.finish()
    if not space.kind and not space.preset:
        raise InvalidRolloutError(f"{path} must have a kind or a preset")
    return space
