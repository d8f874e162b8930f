"""Nouns to `rewardmesh.v1` messages and back. Bytes become nouns and nouns become bytes here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from rewardmesh.contract.codec_reference import decode_reference, encode_reference
from rewardmesh.contract.errors import FailureKind, InvalidRolloutError
from rewardmesh.contract.json_shape import check_json, show
from rewardmesh.contract.reference import Size
from rewardmesh.contract.rollout import AnswerSpace, Image, ImagePart, Message, Part, Rollout, TextPart
from rewardmesh.contract.verdict import Failure, Outcome, Score, Verdict
from rewardmesh.v1 import reward_pb2 as pb


def encode_rollout(rollout: Rollout) -> pb.Rollout:
    """The message of a rollout.

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
        message.reference.CopyFrom(encode_reference(rollout.reference))
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
    return Rollout(
        id=message.id,
        completion=message.completion,
        prompt=tuple(_decode_message(m) for m in message.messages) if message.messages else message.prompt,
        reference=decode_reference(message.reference) if message.HasField("reference") else None,
        task=message.task,
        source=message.source,
        group=message.group,
        answer_space=_decode_space(message.answer_space) if message.HasField("answer_space") else None,
        images=tuple(Image(data=i.data, uri=i.uri) for i in message.images) if message.images else (),
        truncated=message.truncated,
        policy_version=message.policy_version if message.HasField("policy_version") else None,
        step=message.step if message.HasField("step") else None,
        metadata=_load_object(message.metadata_json, "metadata") if message.metadata_json else {},
    )


def encode_verdict(verdict: Verdict) -> pb.Verdict:
    """The message of a verdict. Lone surrogates in texts that quote the input are replaced by '?'.

    Never raises: a verdict that protobuf cannot carry becomes its own Failure, so that it cannot take its neighbours,
    or the stream they share, with it.
    """
    try:
        return _encode_verdict(verdict)
    except Exception as error:  # noqa: BLE001 - whatever a defective verdict makes protobuf raise
        failure = Failure("reward_error", f"the verdict cannot be encoded: {type(error).__name__}: {error}")
        return _encode_verdict(Verdict(verdict.id, failure, verdict.task, verdict.reward))  # the router's own fields


def encode_failure(failure: Failure) -> pb.Failure:
    """The message of a failure."""
    return pb.Failure(kind=failure.kind, message=_clean(failure.message), retryable=failure.retryable)


def decode_verdict(message: pb.Verdict) -> Verdict:
    """The verdict in a message. Raises InvalidScoreError when a broken server sent a score outside [0, 1]."""
    return Verdict(
        id=message.id,
        outcome=_decode_outcome(message),
        task=message.task,
        reward=message.reward,
        version=message.version,
        digest=message.digest,
        seconds=message.seconds,
        queued=message.queued,
        cached=message.cached,
    )


def decode_failure(message: pb.Failure) -> Failure:
    """The failure in a message."""
    return Failure(cast(FailureKind, message.kind), message.message, message.retryable)


def encode_response(verdicts: Iterable[Verdict], id: int = 0) -> pb.ScoreResponse:
    """A response holding the verdicts in order."""
    return pb.ScoreResponse(id=id, verdicts=[encode_verdict(v) for v in verdicts])


def decode_response(message: pb.ScoreResponse) -> list[Verdict]:
    """The verdicts of a response, in order."""
    return [decode_verdict(v) for v in message.verdicts]


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


def _encode_verdict(verdict: Verdict) -> pb.Verdict:
    message = pb.Verdict(
        id=verdict.id,
        task=verdict.task,
        reward=verdict.reward,
        version=verdict.version,
        digest=verdict.digest,
        seconds=verdict.seconds,
        queued=verdict.queued,
        cached=verdict.cached,
    )
    outcome = verdict.outcome
    if isinstance(outcome, Score):
        message.score.CopyFrom(
            pb.Score(
                value=outcome.value,
                reason=_clean(outcome.reason),
                explanation=_clean(outcome.explanation),
                parsed=None if outcome.parsed is None else _clean(outcome.parsed),
                span=None if outcome.span is None else pb.Span(start=outcome.span[0], end=outcome.span[1]),
                components={_clean(name): value for name, value in outcome.components.items()},
                raw=outcome.raw,
                model=_clean(outcome.model),
            )
        )
    else:
        message.failure.CopyFrom(encode_failure(outcome))
    return message


def _decode_outcome(message: pb.Verdict) -> Outcome:
    if not message.HasField("score"):
        return decode_failure(message.failure)
    score = message.score
    return Score(
        value=score.value,
        reason=score.reason,
        explanation=score.explanation,
        parsed=score.parsed if score.HasField("parsed") else None,
        span=(score.span.start, score.span.end) if score.HasField("span") else None,
        components=dict(score.components),
        raw=score.raw if score.HasField("raw") else None,
        model=score.model,
    )


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


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


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
