"""The JSON form of verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rewardmesh.contract.errors import FAILURE_KINDS, FailureKind, InvalidRolloutError, InvalidScoreError
from rewardmesh.contract.json_shape import Fields, boolean_of, integer_of, list_of, number_of, show, text_of
from rewardmesh.contract.verdict import Failure, Score, Verdict


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """The JSON object of a verdict."""
    out: dict[str, Any] = {"id": verdict.id}
    if isinstance(verdict.outcome, Score):
        score = verdict.outcome
        out["score"] = {
            "value": score.value,
            "reason": score.reason,
            "explanation": score.explanation,
            "parsed": score.parsed,
            "span": None if score.span is None else list(score.span),
            "components": dict(score.components),
            "raw": score.raw,
        }
        if score.model:  # rules have none
            out["score"]["model"] = score.model
    else:
        failure = verdict.outcome
        hint = {"retry_after_seconds": failure.retry_after_seconds} if failure.retry_after_seconds else {}
        out["failure"] = {"kind": failure.kind, "message": failure.message, "retryable": failure.retryable, **hint}
    for name in ("task", "reward", "version", "digest"):
        if getattr(verdict, name):
            out[name] = getattr(verdict, name)
    out.update(seconds=verdict.seconds, queued=verdict.queued, cached=verdict.cached)
    return out


def verdict_from_json(value: object) -> Verdict:
    """A verdict from a decoded JSON object. Raises InvalidRolloutError, naming the field, when it is none."""
    fields = Fields(value, "verdict", InvalidRolloutError)
    id = fields.text("id")
    outcomes = [fields.optional("score", _score, None), fields.optional("failure", _failure, None)]
    found = [outcome for outcome in outcomes if outcome is not None]
    if len(found) != 1:
        raise InvalidRolloutError("verdict must have either a score or a failure")
    verdict = Verdict(
        id=id,
        outcome=found[0],
        task=fields.text("task", ""),
        reward=fields.text("reward", ""),
        version=fields.text("version", ""),
        digest=fields.text("digest", ""),
        seconds=fields.optional("seconds", _number, 0.0),
        queued=fields.optional("queued", _number, 0.0),
        cached=fields.optional("cached", _boolean, False),
    )
    fields.finish()
    return verdict


def _score(value: object, path: str) -> Score:
    fields = Fields(value, path, InvalidRolloutError)
    try:
        score = Score(
            value=fields.required("value", _number),
            reason=fields.text("reason", ""),
            explanation=fields.text("explanation", ""),
            parsed=fields.optional("parsed", _text, None),
            span=fields.optional("span", _span, None),
            components=fields.optional("components", _components, {}),
            raw=fields.optional("raw", _number, None),
            model=fields.text("model", ""),
        )
    except InvalidScoreError as error:
        raise InvalidRolloutError(f"{path}: {error}") from None
    fields.finish()
    return score


def _failure(value: object, path: str) -> Failure:
    fields = Fields(value, path, InvalidRolloutError)
    kind = fields.text("kind")
    if kind not in FAILURE_KINDS:
        raise InvalidRolloutError(f"{path}.kind must be one of {', '.join(sorted(FAILURE_KINDS))}, got {show(kind)}")
    retryable = fields.optional("retryable", _boolean, False)
    message, after = fields.text("message", ""), fields.optional("retry_after_seconds", _number, 0.0)
    fields.finish()
    try:
        return Failure(cast(FailureKind, kind), message, retryable, after)
    except ValueError as error:
        raise InvalidRolloutError(f"{path}: {error}") from None


def _span(value: object, path: str) -> tuple[int, int]:
    offsets = list_of(_integer, InvalidRolloutError)(value, path)
    if len(offsets) != 2:
        raise InvalidRolloutError(f"{path} must be [start, end], got {show(value)}")
    return offsets[0], offsets[1]


def _components(value: object, path: str) -> Mapping[str, float]:
    if not isinstance(value, dict):
        raise InvalidRolloutError(f"{path} must be an object of numbers, got {show(value)}")
    return {name: _number(item, f"{path}.{name}") for name, item in cast(dict[str, object], value).items()}


def _text(value: object, path: str) -> str:
    return text_of(value, path, InvalidRolloutError)


def _number(value: object, path: str) -> float:
    return number_of(value, path, InvalidRolloutError)


def _integer(value: object, path: str) -> int:
    return integer_of(value, path, InvalidRolloutError)


def _boolean(value: object, path: str) -> bool:
    return boolean_of(value, path, InvalidRolloutError)
