"""One reward with other options for the rollouts of some sources."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeAlias, cast

from rewardmesh.contract import Outcome, Rollout
from rewardmesh.rewards.base import Outcomes, Reward

_Part: TypeAlias = tuple[Reward, list[Rollout]]


class BySource:
    """Has every rollout scored by the instance for its source.

    Args:
        instances: Of one class. The first scores the rollouts of all sources that are not named.
        of_source: Which of them scores the rollouts of a source.
    """

    def __init__(self, instances: Sequence[Reward], of_source: Mapping[str, int]) -> None:
        self.name, self.version = instances[0].name, instances[0].version
        self._instances = instances
        self._of_source = of_source
        self._waits = inspect.iscoroutinefunction(instances[0].score)

    @property
    def models(self) -> frozenset[str]:
        """Those of all instances."""
        return frozenset(model for each in self._instances for model in getattr(each, "models", ()))

    def score(self, rollouts: Sequence[Rollout]) -> Outcomes | Awaitable[Outcomes]:
        """One outcome per rollout, in order; to be awaited if the instances' `score` is `async def`.

        Raises:
            Exception: What an instance raises, as if it had been asked alone.
        """
        places: dict[int, list[int]] = {}
        for i, rollout in enumerate(rollouts):
            places.setdefault(self._of_source.get(rollout.source, 0), []).append(i)
        if len(places) == 1:  # most batches, and all that a worker process gets
            return self._instances[next(iter(places))].score(rollouts)
        parts = [(self._instances[which], [rollouts[i] for i in where]) for which, where in places.items()]
        if self._waits:
            return _together(parts, places.values())
        return _in_order([cast(Outcomes, reward.score(part)) for reward, part in parts], places.values())


async def _together(parts: Sequence[_Part], places: Iterable[Sequence[int]]) -> Outcomes:
    import asyncio  # here, because worker processes are kept lean and never wait

    answers = await asyncio.gather(*(_ask(reward, part) for reward, part in parts))
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return _in_order([answer for answer in answers if not isinstance(answer, BaseException)], places)


async def _ask(reward: Reward, part: list[Rollout]) -> Outcomes | Exception | SystemExit:
    try:
        return await cast(Awaitable[Outcomes], reward.score(part))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again once no other part is still under way
        return error  # and not from a task, where SystemExit would end the event loop


def _in_order(answers: Iterable[Outcomes], places: Iterable[Sequence[int]]) -> Outcomes:
    merged: dict[int, Outcome | Exception] = {}
    for outcomes, where in zip(answers, places, strict=True):
        merged |= zip(where, outcomes, strict=True)  # too few or too many: an error, as for any reward
    return [merged[i] for i in sorted(merged)]
