"""Call: one call of `score`, from rollouts to verdicts, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Sequence

from rewardmesh.contract.codec import encode_rollout
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.greeting import MessageLimits
from rewardmesh.contract.reference import Reference
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Score, Verdict
from rewardmesh.trainer_client.asking import MAX_ROLLOUTS, Asker, Slice, free_id
from rewardmesh.trainer_client.backoff import backoff
from rewardmesh.trainer_client.messages import Batch, batch_of, by_group, split
from rewardmesh.trainer_client.routers import Routers
from rewardmesh.trainer_client.stream import LostError, OverLimitsError
from rewardmesh.v1 import reward_pb2 as pb

RETRIES = 6  # of a rollout whose Failure is retryable
FIRST_RETRY_SECONDS = 0.05
MAX_RETRY_SECONDS = 2.0


class Call:
    """One call.

    Args:
        rollouts: What is to be scored.
        deadline: A time of the event loop.
        routers: Whose limits are kept.
        asker: Who asks them.
        overhead: Bytes of a message without rollouts.
    """

    def __init__(
        self, rollouts: Sequence[Rollout], deadline: float, routers: Routers, asker: Asker, overhead: int
    ) -> None:
        self._rollouts = rollouts
        self._deadline = deadline
        self._routers = routers
        self._asker = asker
        self._overhead = overhead
        self._verdicts: dict[int, Verdict] = {}

    async def run(self) -> list[Verdict]:
        """One verdict per rollout, in order."""
        limits = self._routers.limits
        if len(self._rollouts) > min(MAX_ROLLOUTS, limits.rollouts):
            await self._settle_all(split(self._encoded(), limits, self._overhead))
        else:  # mostly one message
            batch = batch_of(dict(self._encoded()), self._overhead)
            if not batch.rollouts:
                pass  # none were given, or none could be encoded
            elif batch.size <= limits.message_bytes:
                await self._settle(batch)
            else:
                await self._settle_all(split(batch.rollouts.items(), limits, self._overhead))
        return [self._verdicts[place] for place in range(len(self._rollouts))]

    def _encoded(self) -> Iterator[tuple[int, pb.Rollout]]:
        """The rollouts' messages, by place. Those that cannot be encoded get their verdict here."""
        taken: set[str] = set()
        shared: tuple[Reference | None, pb.Reference | None] = None, None  # the last one's: a group has one
        for place in by_group(self._rollouts):
            rollout = self._rollouts[place]
            try:
                message = encode_rollout(rollout, shared[1] if rollout.reference is shared[0] else None)
            except (InvalidRolloutError, InvalidReferenceError) as error:
                self._verdicts[place] = Verdict(rollout.id, Failure.from_error(error))
                continue
            if rollout.id in taken:  # a router takes an id once in a message
                message.id = free_id(place, taken)
            taken.add(rollout.id)
            shared = rollout.reference, message.reference
            yield place, message

    async def _settle_all(self, batches: Iterable[Batch], *, alone: bool = False) -> None:
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(self._settle(batch, alone=alone))
                await asyncio.sleep(0)  # encoding many batches must not hold up the loop, or their sending

    async def _settle(self, batch: Batch, *, alone: bool = False) -> None:
        """Gets the verdicts of a batch, asking again for what may be scored yet."""
        tasks = frozenset([_task(self._rollouts[place]) for place in batch.rollouts])
        for attempt in range(RETRIES + 1):
            ids = [self._rollouts[place].id for place in batch.rollouts]
            try:
                outcomes = await self._asker.ask(Slice(batch, ids, self._deadline, tasks, alone), self)
            except OverLimitsError as error:
                await self._cut(batch, error.limits)
                return
            except LostError as error:
                if not alone:  # perhaps one of those it shared the message with kills the routers
                    alone = True
                    continue
                outcomes = [Failure("unavailable", str(error))] * len(ids)
            except OSError as error:
                kind = "timeout" if isinstance(error, TimeoutError) else "unavailable"
                outcomes = [Failure(kind, str(error), retryable=True)] * len(ids)
            again: dict[int, pb.Rollout] = {}
            asked_for = 0.0
            for place, id, outcome in zip(batch.rollouts, ids, outcomes, strict=True):
                verdict = self._verdicts[place] = outcome if isinstance(outcome, Verdict) else Verdict(id, outcome)
                if not isinstance(verdict.outcome, Score) and verdict.outcome.retryable:
                    again[place] = batch.rollouts[place]
                    asked_for = max(asked_for, verdict.outcome.retry_after_seconds)
            if not again or self._routers.closed or attempt == RETRIES:
                return
            wait = max(asked_for, backoff(attempt, FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS))
            if asyncio.get_running_loop().time() + wait >= self._deadline:
                return
            await asyncio.sleep(wait)
            batch = batch_of(again, self._overhead)

    async def _cut(self, batch: Batch, limits: MessageLimits) -> None:
        """Asks in smaller messages, or in one that is not shared."""
        if len(batch.rollouts) > 1 or batch.size <= limits.message_bytes:
            await self._settle_all(split(batch.rollouts.items(), limits, self._overhead), alone=True)
            return
        text = f"the rollout takes {batch.size} bytes; {','.join(self._routers.targets)} takes {limits.message_bytes}"
        failure = Failure("too_large", f"{text} in a message. Send images as URIs, or raise limits.message_bytes there")
        for place in batch.rollouts:
            self._verdicts[place] = Verdict(self._rollouts[place].id, failure)


def _task(rollout: Rollout) -> Hashable:
    """What decides how long a rollout takes: its task or, where it names none, what a router would tell it by."""
    return rollout.task or (rollout.source, type(rollout.reference).__name__)
