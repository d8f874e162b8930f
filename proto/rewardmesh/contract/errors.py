"""Errors and the kinds of Failure they become.

Authors and callers raise plain Python errors; one boundary (`Failure.from_error`) gives each a kind:

    InvalidRolloutError    ValueError    invalid_rollout     the rollout has the wrong shape
    InvalidReferenceError  ValueError    invalid_reference   the ground truth has the wrong shape or makes no sense
    SpaceUndeclaredError   ValueError    space_undeclared    coordinates cannot be read: nobody says in which space
    TooLargeError          ValueError    too_large           over a transport limit
    UnclassifiedError      LookupError   unclassified        no task found, or more than one
    UnknownRewardError     LookupError   unknown_reward      the task has no reward
    DeadlineError          TimeoutError  timeout             not done when the message's deadline passed
    LimitError             RuntimeError  limit_exceeded      a worker ran into its CPU or memory limit
    CrashedError           RuntimeError  crashed             a worker died on this rollout
    OverloadedError        RuntimeError  overloaded          a queue was full
    UnavailableError       RuntimeError  unavailable         the reward cannot score now (its model is not loaded, say)
    UnreachableError       RuntimeError  unavailable         what the reward asks over the network does not answer now
    any other Exception                  reward_error        a defect in the reward

`InvalidScoreError` (ValueError) is a reward's defect too: a value that is not a finite number in [0, 1].
Every error takes one message, so all of them pickle.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

FailureKind = Literal[
    "invalid_rollout",
    "invalid_reference",
    "space_undeclared",
    "unclassified",
    "unknown_reward",
    "too_large",
    "timeout",
    "limit_exceeded",
    "crashed",
    "reward_error",
    "overloaded",
    "unavailable",
    "cancelled",
]
FAILURE_KINDS: frozenset[str] = frozenset(get_args(FailureKind))


class RewardMeshError(Exception):
    """Base of every error RewardMesh raises on purpose."""

    kind: ClassVar[FailureKind] = "reward_error"
    retryable: ClassVar[bool] = False
    retry_after_seconds: float = 0.0


class InvalidRolloutError(RewardMeshError, ValueError):
    """A rollout, or a line meant to be one, has the wrong shape."""

    kind = "invalid_rollout"


class InvalidReferenceError(RewardMeshError, ValueError):
    """A reference has the wrong shape, the wrong type for its task, or makes no sense."""

    kind = "invalid_reference"


class SpaceUndeclaredError(RewardMeshError, ValueError):
    """Coordinates need a declared space to be read, and neither the rollout nor mesh.yaml declares one."""

    kind = "space_undeclared"


class InvalidScoreError(RewardMeshError, ValueError):
    """A reward produced a value that is not a finite number in [0, 1]."""


class TooLargeError(RewardMeshError, ValueError):
    """Something is over a transport limit."""

    kind = "too_large"


class UnclassifiedError(RewardMeshError, LookupError):
    """No task, or several, could be found for a rollout."""

    kind = "unclassified"


class UnknownRewardError(RewardMeshError, LookupError):
    """No reward scores this task."""

    kind = "unknown_reward"


class DeadlineError(RewardMeshError, TimeoutError):
    """The message's deadline passed before the rollout was scored."""

    kind = "timeout"
    retryable = True


class LimitError(RewardMeshError, RuntimeError):
    """A worker ran into its CPU or memory limit."""

    kind = "limit_exceeded"


class CrashedError(RewardMeshError, RuntimeError):
    """A worker process died while scoring a rollout."""

    kind = "crashed"


class OverloadedError(RewardMeshError, RuntimeError):
    """A queue was full."""

    kind = "overloaded"
    retryable = True


class UnavailableError(RewardMeshError, RuntimeError):
    """A reward cannot score at all, because its model is not loaded, say."""

    kind = "unavailable"


class UnreachableError(UnavailableError):
    """A service that a reward asks over the network does not answer; it may do so in a moment."""

    retryable = True
