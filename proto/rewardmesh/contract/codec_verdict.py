"""Verdicts to `rewardmesh.v1` messages and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from rewardmesh.contract.errors import FailureKind
from rewardmesh.contract.verdict import Failure, Outcome, Score, Verdict
from rewardmesh.v1 import reward_pb2 as pb


def encode_verdict(verdict: Verdict) -> pb.Verdict:
    """The message of a verdict. See `encode_response`."""
    message = pb.Verdict()
    _fill(message, verdict)
    return message


def encode_failure(failure: Failure) -> pb.Failure:
    """The message of a failure."""
    return pb.Failure(
        kind=failure.kind,
        message=_clean(failure.message),
        retryable=failure.retryable,
        retry_after_seconds=failure.retry_after_seconds,
    )


def decode_verdict(message: pb.Verdict) -> Verdict:
    """The verdict in a message. Raises InvalidScoreError when a broken server sent a score outside [0, 1]."""
    outcome = decode_score(message.score) if message.HasField("score") else decode_failure(message.failure)
    return Verdict(  # by place: by name takes a microsecond more
        message.id,
        outcome,
        message.task,
        message.reward,
        message.version,
        message.digest,
        message.seconds,
        message.queued,
        message.cached,
    )


def decode_failure(message: pb.Failure) -> Failure:
    """The failure in a message."""
    return Failure(cast(FailureKind, message.kind), message.message, message.retryable, message.retry_after_seconds)


def encode_response(verdicts: Iterable[Verdict], id: int = 0) -> pb.ScoreResponse:
    """A response holding the verdicts in order.

    Never raises: lone surrogates in texts that quote the input are replaced by '?', and a verdict that protobuf cannot
    carry becomes its own Failure, so that it cannot take its neighbours, or the stream they share, with it.
    """
    response = pb.ScoreResponse(id=id)
    add = response.verdicts.add
    for verdict in verdicts:
        _fill(add(), verdict)
    return response


def encode_score(score: Score) -> pb.Score:
    """The message of a score. Raises as protobuf does for one that it cannot carry."""
    message = pb.Score()
    _write_score(message, score)
    return message


def decode_score(score: pb.Score) -> Score:
    """The score in a message. Raises InvalidScoreError when its value is outside [0, 1]."""
    components, span = score.components, score.span
    return Score(
        score.value,
        score.reason,
        score.explanation,
        score.parsed if score.HasField("parsed") else None,
        (span.start, span.end) if score.HasField("span") else None,
        {name: components[name] for name in components},  # `dict` takes twice as long
        score.raw if score.HasField("raw") else None,
        score.model,
    )


def decode_response(message: pb.ScoreResponse) -> list[Verdict]:
    """The verdicts of a response, in order."""
    return [decode_verdict(v) for v in message.verdicts]


def _fill(message: pb.Verdict, verdict: Verdict) -> None:
    try:
        _write(message, verdict)
    except UnicodeEncodeError:  # a lone surrogate, or two
        _write_again(message, verdict._replace(outcome=_cleaned(verdict.outcome)))
    except Exception as error:  # noqa: BLE001 - whatever a defective verdict makes protobuf raise
        _write_failure(message, verdict, error)


def _write_again(message: pb.Verdict, verdict: Verdict) -> None:
    message.Clear()
    try:
        _write(message, verdict)
    except Exception as error:  # noqa: BLE001 - as above
        _write_failure(message, verdict, error)


def _write_failure(message: pb.Verdict, verdict: Verdict, error: Exception) -> None:
    message.Clear()
    why = _clean(f"the verdict cannot be encoded: {type(error).__name__}: {error}")
    _write(message, Verdict(verdict.id, Failure("reward_error", why), verdict.task, verdict.reward))  # the router's own


def _cleaned(outcome: Outcome) -> Outcome:
    """The outcome without lone surrogates."""
    if isinstance(outcome, Failure):
        return replace(outcome, message=_clean(outcome.message))
    return replace(
        outcome,
        reason=_clean(outcome.reason),
        explanation=_clean(outcome.explanation),
        parsed=None if outcome.parsed is None else _clean(outcome.parsed),
        components={_clean(name): value for name, value in outcome.components.items()},
        model=_clean(outcome.model),
    )


def _write(message: pb.Verdict, verdict: Verdict) -> None:
    """Sets what is set: that takes half the time of building messages to copy them in."""
    outcome = verdict.outcome
    message.id, message.task, message.reward = verdict.id, verdict.task, verdict.reward
    message.version, message.digest = verdict.version, verdict.digest
    message.seconds, message.queued = verdict.seconds, verdict.queued
    if verdict.cached:
        message.cached = True
    if not isinstance(outcome, Score):
        message.failure.CopyFrom(encode_failure(outcome))
        return
    _write_score(message.score, outcome)


def _write_score(score: pb.Score, outcome: Score) -> None:
    score.value = outcome.value  # even 0 makes the score one that is there; likewise below
    score.reason = outcome.reason
    if outcome.explanation != "":
        score.explanation = outcome.explanation
    if outcome.parsed is not None:
        score.parsed = outcome.parsed
    if outcome.span is not None:
        span = score.span
        span.start, span.end = outcome.span
    if outcome.components != {}:
        components = score.components
        for name, value in outcome.components.items():
            components[name] = value
    if outcome.raw is not None:
        score.raw = outcome.raw
    if outcome.model != "":
        score.model = outcome.model


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
