"""What became of a rollout: a Score, or a Failure, in the envelope of a Verdict."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rewardmesh.contract.errors import (
    FAILURE_KINDS,
    FailureKind,
    InvalidScoreError,
    RewardMeshError,
)

REASON = re.compile(r"[a-z0-9_]{0,64}")
"""What a reason looks like. It labels metrics, where a sentence or a broken text would do harm."""


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


def _span(value: tuple[int, int]) -> tuple[int, int]:
    try:
        start, end = map(operator.index, value)  # takes numpy's integers, and no float
    except (TypeError, ValueError):
        raise InvalidScoreError(f"a score's span must be two integers, got {value!r:.80}") from None
    if not 0 <= start <= end < 2**32:
        raise InvalidScoreError(f"a score's span must be 0 <= start <= end, got {value!r:.80}")
    return start, end


@dataclass(frozen=True, slots=True)
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

    Raises:
        InvalidScoreError: The value is NaN, infinite or outside [0, 1], a component or raw is not finite, the span
            is no [start, end), the reason is no code, or a text is not a text.
    """

    value: float
    reason: str = ""
    explanation: str = ""
    parsed: str | None = None
    span: tuple[int, int] | None = None
    components: Mapping[str, float] = field(default_factory=dict[str, float])
    raw: float | None = None

    def __post_init__(self) -> None:
        value = _finite("a score's value", self.value)
        if not 0.0 <= value <= 1.0:
            raise InvalidScoreError(f"a score's value must lie in [0, 1], got {value!r}")
        object.__setattr__(self, "value", value)
        if not isinstance(self.components, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- as in _text
            raise InvalidScoreError(f"a score's components must be a mapping, got {self.components!r:.80}")
        if self.components:
            checked = dict(self.components)  # whoever made it may go on using it
            for name, number in checked.items():
                if type(name) is not str or type(number) is not float or not -math.inf < number < math.inf:
                    checked[_text("a component's name", name)] = _finite(f"component {name!r}", number)
            object.__setattr__(self, "components", checked)
        if self.raw is not None:
            object.__setattr__(self, "raw", _finite("a score's raw value", self.raw))
        if not REASON.fullmatch(_text("a score's reason", self.reason)):
            raise InvalidScoreError(
                f"a score's reason must be a code of at most 64 of a-z, 0-9 and _, got {self.reason!r:.80}; "
                "sentences go into its explanation"
            )
        _text("a score's explanation", self.explanation)
        if self.parsed is not None:
            _text("a score's parsed answer", self.parsed)
        if self.span is not None:
            object.__setattr__(self, "span", _span(self.span))


@dataclass(frozen=True, slots=True)
class Failure:
    """The rollout could not be judged, through no fault of the policy. Never a number: do not learn from it.

    Attributes:
        kind: What went wrong, one of `FAILURE_KINDS`.
        message: What was wrong, what was expected and where, for a person.
        retryable: Whether the same rollout may be scored if sent again.

    Raises:
        ValueError: The kind is unknown.
        TypeError: The message is not a text.
    """

    kind: FailureKind
    message: str
    retryable: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FAILURE_KINDS:
            raise ValueError(f"unknown failure kind {self.kind!r}; known: {', '.join(sorted(FAILURE_KINDS))}")
        if not isinstance(self.message, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- as in _text
            raise TypeError(f"a failure's message must be a text, got {self.message!r:.80}")

    @classmethod
    def from_error(cls, error: BaseException) -> Failure:
        """The one boundary where an exception becomes a Failure."""
        if isinstance(error, RewardMeshError):
            return cls(error.kind, str(error), error.retryable)
        return cls("reward_error", f"{type(error).__name__}: {error}")


Outcome: TypeAlias = Score | Failure
"""What a reward returns for one rollout."""


@dataclass(frozen=True, slots=True)
class Verdict:
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
