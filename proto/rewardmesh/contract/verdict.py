"""What became of a rollout: a Score, or a Failure, in the envelope of a Verdict."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from rewardmesh.contract.errors import (
    FAILURE_KINDS,
    FailureKind,
    InvalidScoreError,
    RewardMeshError,
)

REASON = re.compile(r"[a-z0-9_]{0,64}")
"""What a reason looks like. It labels metrics, where a sentence or a broken text would do harm."""

_NO_COMPONENTS: Mapping[str, float] = {}
_set = object.__setattr__


def _finite(name: str, value: float) -> float:
    if type(value) is float and -math.inf < value < math.inf:  # most of them
        return value
    try:
        if isinstance(value, str | bytes):  # float() would read them
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidScoreError(f"{name} must be a number, got {value!r:.80}") from None
    if not math.isfinite(number):
        raise InvalidScoreError(f"{name} must be finite, got {number!r}")
    return number


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- authors need not use a checker
        raise InvalidScoreError(f"{name} must be a text, got {value!r:.80}")
    return value


@lru_cache(1024)
def _is_code(reason: str) -> bool:
    return REASON.fullmatch(reason) is not None


def _code(reason: str) -> str:
    if not _is_code(_text("a score's reason", reason)):
        raise InvalidScoreError(
            f"a score's reason must be a code of at most 64 of a-z, 0-9 and _, got {reason!r:.80}; "
            "sentences go into its explanation"
        )
    return reason


def _share(value: float) -> float:
    share = _finite("a score's value", value)
    if not 0.0 <= share <= 1.0:
        raise InvalidScoreError(f"a score's value must lie in [0, 1], got {share!r}")
    return share


def _checked(components: Mapping[str, float]) -> dict[str, float]:
    if type(components) is not dict and not isinstance(components, Mapping):  # pyright: ignore -- as in _text
        raise InvalidScoreError(f"a score's components must be a mapping, got {components!r:.80}")
    checked = dict(components)  # whoever made it may go on using it
    for name, number in checked.items():
        if type(name) is not str or type(number) is not float or not -math.inf < number < math.inf:
            checked[_text("a component's name", name)] = _finite(f"component {name!r}", number)
    return checked


def _span(value: tuple[int, int]) -> tuple[int, int]:
    if type(value) is tuple and len(value) == 2:  # most of them
        start, end = value
        if type(start) is int and type(end) is int and 0 <= start <= end < 2**32:
            return value
    try:
        start, end = map(operator.index, value)  # takes numpy's integers, and no float
    except (TypeError, ValueError):
        raise InvalidScoreError(f"a score's span must be two integers, got {value!r:.80}") from None
    if not 0 <= start <= end < 2**32:
        raise InvalidScoreError(f"a score's span must be 0 <= start <= end, got {value!r:.80}")
    return start, end


@dataclass(frozen=True, slots=True, init=False)
class Score:
    """How good a completion is. What the policy did wrong is a Score of 0 with its reason.

    Attributes:
        value: The reward, finite, in [0, 1]. Converted to float.
        reason: A code in snake_case of at most 64 characters (`num_eq`, `no_answer`), or empty. Few per reward: it
            labels metrics.
        explanation: One sentence for a person, free of codes. May be empty.
        parsed: The answer as it was understood, as text; None when there was none.
        span: Where the answer stands in the completion: [start, end) in characters; None when unknown.
        components: Named finite numbers that make up or describe the value (`iou`, `giou`).
        raw: The value before normalisation, finite (a reward model's logit); None where there is none.
        model: Which version of which model and calibration gave it, as digests; empty for rules.

    Raises:
        InvalidScoreError: The value is NaN, infinite or outside [0, 1], a component or raw is not finite, the span
            is no [start, end), the reason is no code, or a text is not a text.
    """

    value: float
    reason: str
    explanation: str
    parsed: str | None
    span: tuple[int, int] | None
    components: Mapping[str, float]
    raw: float | None
    model: str

    # Not generated: one is made for every rollout, and setting an attribute of a frozen object takes its time.
    def __init__(
        self,
        value: float,
        reason: str = "",
        explanation: str = "",
        parsed: str | None = None,
        span: tuple[int, int] | None = None,
        components: Mapping[str, float] = _NO_COMPONENTS,
        raw: float | None = None,
        model: str = "",
    ) -> None:
        _set(self, "value", value if type(value) is float and 0.0 <= value <= 1.0 else _share(value))
        _set(self, "components", _checked(components))
        _set(self, "raw", raw if raw is None else _finite("a score's raw value", raw))
        _set(self, "reason", reason if type(reason) is str and _is_code(reason) else _code(reason))
        if type(explanation) is not str:
            _text("a score's explanation", explanation)
        _set(self, "explanation", explanation)
        if type(parsed) is not str and parsed is not None:
            _text("a score's parsed answer", parsed)
        _set(self, "parsed", parsed)
        _set(self, "span", span if span is None else _span(span))
        _set(self, "model", model if type(model) is str else _text("a score's model", model))


@dataclass(frozen=True, slots=True)
class Failure:
    """The rollout could not be judged, through no fault of the policy. Never a number: do not learn from it.

    Attributes:
        kind: What went wrong, one of `FAILURE_KINDS`.
        message: What was wrong, what was expected and where, for a person.
        retryable: Whether the same rollout may be scored if sent again.
        retry_after_seconds: When that is worth trying, at least 0; 0 where nobody knows.

    Raises:
        ValueError: The kind is unknown, or the seconds are no number of at least 0.
        TypeError: The message is not a text.
    """

    kind: FailureKind
    message: str
    retryable: bool = False
    retry_after_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.retry_after_seconds < math.inf:
            raise ValueError(f"retry_after_seconds must be at least 0, got {self.retry_after_seconds!r}")
        if self.kind not in FAILURE_KINDS:
            raise ValueError(f"unknown failure kind {self.kind!r}; known: {', '.join(sorted(FAILURE_KINDS))}")
        if not isinstance(self.message, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- as in _text
            raise TypeError(f"a failure's message must be a text, got {self.message!r:.80}")

    @classmethod
    def from_error(cls, error: BaseException) -> Failure:
        """The one boundary where an exception becomes a Failure."""
        if isinstance(error, RewardMeshError):
            return cls(error.kind, str(error), error.retryable, error.retry_after_seconds)
        return cls("reward_error", f"{type(error).__name__}: {error}")


Outcome: TypeAlias = Score | Failure
"""What a reward returns for one rollout."""


class Verdict(NamedTuple):  # one is made twice per rollout, and a tuple takes a third of a frozen dataclass's time
    """A rollout's outcome in its envelope. Every rollout gets exactly one.

    Attributes:
        id: The rollout's id.
        outcome: The Score or the Failure.
        task: The task the rollout was classified as; empty if it was not.
        reward: The reward that was asked; empty if none was.
        version: That reward's version.
        digest: Digest of that reward's configuration.
        seconds: Time spent scoring, in seconds (a batch's time shared evenly among its rollouts).
        queued: Time between arrival at the router and the start of scoring, in seconds.
        cached: Whether the outcome came from a cache.
    """

    id: str
    outcome: Outcome
    task: str = ""
    reward: str = ""
    version: str = ""
    digest: str = ""
    seconds: float = 0.0
    queued: float = 0.0
    cached: bool = False

    @property
    def score(self) -> Score | None:
        """The Score, or None if the rollout could not be judged."""
        return self.outcome if isinstance(self.outcome, Score) else None

    @property
    def failure(self) -> Failure | None:
        """The Failure, or None if the rollout was scored."""
        return self.outcome if isinstance(self.outcome, Failure) else None
