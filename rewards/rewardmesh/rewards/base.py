"""What a reward is: any class shaped like `Reward`, named by an entry point in group `rewardmesh.rewards`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from rewardmesh.contract import InvalidReferenceError, Outcome, Rollout

Outcomes: TypeAlias = Sequence[Outcome | Exception]
"""One per rollout, in order. An exception becomes a Failure of that rollout alone."""


class Reward(Protocol):
    """Scores rollouts. Only `name`, `version` and `score` are needed; the constructor loads weights.

    The constructor's arguments come from mesh.yaml. Where that gives some sources options of their own, each set of
    options is an instance. A constructor with a parameter `thinking` also gets the tags that mesh.yaml lists under this
    name, for `answer.with_tags`.

    A class may also have these attributes; `traits` reads them, with these defaults:

    Attributes:
        name: What mesh.yaml, metrics and verdicts call it; the entry point has the same name.
        version: Changes whenever the same rollout may get another score.
        tasks: Tasks it scores. Default: its name.
        reads: Fields of the rollout that its score depends on. Default: completion and reference. An isolated reward
            gets no others but the id, and rollouts that agree in them all are scored once.
        pure: The same rollout always gets the same score. Default: true.
        cacheable: Slow enough that remembering scores pays. Default: false.
        isolated: Runs in killable child processes with CPU and memory limits, because it parses hostile text with code
            that can hang. Default: false.
        inline: Takes microseconds and never blocks, so it runs on the event loop. Default: false (a thread).
        models: Digests of the models it scores with now, as `Score.model` has them (several are separated by spaces).
            Scores of others are no longer taken from a cache. Default: none.
        example: A rollout it must score above 0 before it is called ready. Default: none.
    """

    name: str
    version: str

    def score(self, rollouts: Sequence[Rollout]) -> Outcomes | Awaitable[Outcomes]:
        """One outcome per rollout, in order. Plain, or `async def` for rewards that wait on the network.

        Raises:
            UnavailableError: Nothing can be scored now (the constructor may raise it too).
            Exception: Any other error; the rollouts are then scored one by one to find the guilty one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Traits:
    """The attributes of a reward class, defaults filled in. See `Reward`."""

    name: str
    version: str
    tasks: tuple[str, ...]
    reads: tuple[str, ...] = ("completion", "reference")
    pure: bool = True
    cacheable: bool = False
    isolated: bool = False
    inline: bool = False
    example: Rollout | None = None


def traits(reward: type[Reward]) -> Traits:
    """Reads a reward class.

    Raises:
        TypeError: It is not shaped like a reward; the message says what is missing.
    """
    for attribute in ("name", "version"):
        if not isinstance(getattr(reward, attribute, None), str):
            raise TypeError(f"{reward!r} is no reward: it needs a class attribute {attribute!r} of type str")
    if not callable(getattr(reward, "score", None)):
        raise TypeError(f"{reward!r} is no reward: it needs a method score(rollouts)")
    given = {name: getattr(reward, name) for name in Traits.__slots__ if hasattr(reward, name)}
    given["tasks"] = tuple(given.get("tasks", (reward.name,)))
    return Traits(**given)


R = TypeVar("R")


def expect_reference(rollout: Rollout, kind: type[R]) -> R:
    """The rollout's reference, which must be of this type. Raises InvalidReferenceError, which the runner reports."""
    reference = rollout.reference
    if isinstance(reference, kind):
        return reference
    wanted = getattr(kind, "type", kind.__name__)
    got = "none" if reference is None else f"one of type {reference.type!r}"
    raise InvalidReferenceError(f"needs a reference of type {wanted!r}, got {got}")
