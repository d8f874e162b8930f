"""Asker: many calls share messages."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rewardmesh.contract.coalesce import Coalescer
from rewardmesh.contract.codec import decode_verdict
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.trainer_client.messages import Batch, overhead
from rewardmesh.trainer_client.routers import Answer, Routers
from rewardmesh.v1 import reward_pb2 as pb

IN_FLIGHT = 2  # messages per router before callers pile up: one that is scored, one on its way
MAX_ROLLOUTS = 256  # that calls pile up to; a message's fixed cost is then a hundredth of its rollouts'
PATIENCE_SECONDS = 0.05  # a message that is not answered by then does not keep others waiting
MAX_LANES = 64  # kinds of messages that are remembered when they are idle
REST_SECONDS = 0.25  # how long a router that could score nothing is left alone, where it does not say itself


@dataclass(eq=False, slots=True)
class Slice:
    """What one call adds to a message.

    Attributes:
        batch: Its rollouts, and the bytes of a message of them.
        ids: What the caller calls the rollouts, in order; several may have one id.
        deadline: A time of the event loop.
        tasks: What they are scored as, as far as is known here.
        alone: Whether it must not share a message.
    """

    batch: Batch
    ids: Sequence[str]
    deadline: float
    tasks: frozenset[Hashable]
    alone: bool = False


class Asker:
    """Puts the slices of calls into common messages. Belongs to the event loop it is first used on.

    A message is answered when its slowest rollout is scored, so that only slices of the same tasks share one.
    """

    def __init__(self, routers: Routers, pins: Mapping[str, str]) -> None:
        self._routers = routers
        self._pins = pins
        self._overhead = overhead(pins)
        self._lanes: dict[frozenset[Hashable], Coalescer[Slice, list[Verdict | Failure]]] = {}
        routers.on_change(self._adjust)

    def ask(self, part: Slice, caller: Hashable) -> Coroutine[Any, Any, list[Verdict | Failure]]:
        """The outcomes of a slice, in order; Failures without an envelope where the answer was not believed.

        Callers take turns. A message has the smallest of its slices' deadlines, none of which is less than half as far
        away as another; a slice that then gets Failures `timeout` may have time left.

        Raises:
            OverLimitsError: The message was larger than the router takes.
            TimeoutError: The router did not answer in time.
            LostError: The message lost its connection again and again.
            ConnectionError: There was no connection in time, or the client was closed.
        """
        lane = self._lanes.get(part.tasks) or self._lane(part.tasks)
        rollouts, size = part.batch
        return lane.put(part, key=caller, count=len(rollouts), size=size - self._overhead)

    def _adjust(self) -> None:
        """Routers came, went or told their limits."""
        limits = self._routers.limits
        for lane in self._lanes.values():
            lane.in_flight = IN_FLIGHT * max(1, self._routers.up)
            lane.max_items = min(MAX_ROLLOUTS, limits.rollouts)
            lane.max_bytes = limits.message_bytes - self._overhead

    def _lane(self, tasks: frozenset[Hashable]) -> Coalescer[Slice, list[Verdict | Failure]]:
        if len(self._lanes) >= MAX_LANES:
            self._lanes = {tasks: lane for tasks, lane in self._lanes.items() if not lane.idle}
        ship = partial(self._ship, tasks)
        lane = self._lanes[tasks] = Coalescer(ship, alike=_alike, patience=PATIENCE_SECONDS)
        self._adjust()
        return lane

    async def _ship(self, tasks: frozenset[Hashable], slices: list[Slice]) -> list[list[Verdict | Failure]]:
        message = pb.StreamRequest()
        request = message.score
        if self._pins:
            request.options.pins.update(self._pins)
        size, deadline = self._overhead, slices[0].deadline
        for part in slices:
            request.rollouts.extend(part.batch.rollouts.values())
            size += part.batch.size - self._overhead
            deadline = min(deadline, part.deadline)
        if len(slices) > 1:
            _make_unique(request.rollouts)
        answer = await self._routers.ask(message, size, deadline, tasks)
        verdicts = answer.response.verdicts
        if len(verdicts) != len(request.rollouts):
            text = f"{answer.stream.target} answered {len(request.rollouts)} rollouts with {len(verdicts)} verdicts"
            return [[Failure("reward_error", text)] * len(part.batch.rollouts) for part in slices]
        self._rest(answer, tasks)
        left = zip(verdicts, request.rollouts, strict=True)
        return [[_decode(*next(left), id) for id in part.ids] for part in slices]

    def _rest(self, answer: Answer, tasks: frozenset[Hashable]) -> None:
        """Leaves a router alone that could score nothing now: it is quick with that, and would be given everything."""
        seconds = REST_SECONDS
        for verdict in answer.response.verdicts:
            if not verdict.HasField("failure") or verdict.failure.kind not in ("overloaded", "unavailable"):
                return
            seconds = max(seconds, verdict.failure.retry_after_seconds)
        self._routers.rest(answer.stream, tasks, seconds)


def _alike(first: Slice, other: Slice) -> bool:
    if first.alone or other.alone:
        return False
    now = asyncio.get_running_loop().time()
    near, far = first.deadline - now, other.deadline - now
    if near > far:
        near, far = far, near
    return far <= max(0.0, 2 * near)


def _make_unique(rollouts: Sequence[pb.Rollout]) -> None:
    """Renames those whose id another has, which a router refuses in one message."""
    ids = [rollout.id for rollout in rollouts]
    taken = set(ids)
    if len(taken) == len(ids):
        return
    seen: set[str] = set()
    for place, id in enumerate(ids):
        if id in seen:
            rollouts[place].id = free_id(place, taken)
        seen.add(id)


def free_id(number: int, taken: set[str]) -> str:
    """A short id that is not taken, and now is."""
    id = f"~{number}"
    while id in taken:
        id += "~"
    taken.add(id)
    return id


def _decode(message: pb.Verdict, asked: pb.Rollout, id: str) -> Verdict | Failure:
    said = message.id
    if said != asked.id:
        return Failure("reward_error", f"the verdict is for {said!r:.80}, not for this rollout")
    if said != id:
        message.id = id
    try:
        return decode_verdict(message)
    except ValueError as error:  # a score outside [0, 1], a kind of failure nobody knows
        return Failure("reward_error", f"the verdict cannot be read: {error}")
