"""One reward's rollouts of a message: what is known already or under way, admission, the engine, what to remember."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice

from rewardmesh.contract.coalesce import Coalescer
from rewardmesh.contract.codec_verdict import decode_score, encode_score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import DeadlineError, OverloadedError
from rewardmesh.contract.verdict import Failure, Score, Verdict
from rewardmesh.router.admission import Admission
from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.cache.key import Key
from rewardmesh.router.single_flight import SingleFlight
from rewardmesh.services.engine import Engine, RewardStatus
from rewardmesh.v1 import reward_pb2 as pb

# The engine answers `timeout` itself at the deadline. This is for its answer to arrive on a busy machine; an engine
# that is later than that is stuck, and the router answers in its place.
GRACE_SECONDS = 0.5
# Batches of a target on their way: one that is scored, and the next.
IN_FLIGHT = 2
# A batch is answered when its last rollout is scored. One of a slow reward is therefore smaller: about so many seconds,
# but not less than a thread or a replica scores at once.
BATCH_SECONDS = 0.1
SMALLEST_BATCH, LARGEST_BATCH = 32, 256
# Scores as they come from the cache, decoded: the nouns of the last few thousand.
_REMEMBERED = 16384

log = logging.getLogger(__name__)

_Batch = tuple[Sequence[Envelope], float]
"""Rollouts that stay together, and when nobody wants their verdicts any more (on `time.perf_counter`)."""


class Dispatch:
    """The way from the pipeline to the engine.

    Args:
        engine: Started.
        admission: Bounds what waits.
        cache: Scores of before; None for none.
    """

    def __init__(self, engine: Engine, admission: Admission, cache: ScoreCache | None) -> None:
        self._engine = engine
        self._admission = admission
        self._cache = cache
        self._single_flight = SingleFlight()
        self._coalescers: dict[str, Coalescer[_Batch, list[Verdict]]] = {}

    async def ask(self, reward: str, batch: Sequence[Envelope], deadline: float, client: Hashable) -> Sequence[Verdict]:
        """One verdict per rollout, in order. Raises nothing but CancelledError.

        Args:
            reward: A hosted one.
            batch: Its rollouts of one message.
            deadline: When nobody wants their verdicts any more, on `time.perf_counter`.
            client: Who asks: clients take turns where many wait.
        """
        status = self._engine.status()[reward]
        keys = self._cache.keys(batch, status) if self._cache is not None and status.ready else None
        if self._cache is None or keys is None:
            return await self._admitted(reward, batch, deadline, client)
        known = _current(await self._cache.get_many(keys), status)
        verdicts = await self._rest(status, batch, keys, known, deadline, client)
        fresh: list[tuple[Key, pb.Score]] = []
        for key, verdict in zip(keys, verdicts, strict=True):
            made_by = (verdict.version, verdict.digest)  # in a rolling update it may be another replica
            if isinstance(verdict.outcome, Score) and not verdict.cached and made_by == (status.version, status.digest):
                with suppress(UnicodeEncodeError):  # a text that quotes a lone surrogate is not worth keeping
                    fresh.append((key, encode_score(verdict.outcome)))
        if fresh:
            self._cache.put_many(fresh)
        return verdicts

    async def _rest(
        self,
        status: RewardStatus,
        batch: Sequence[Envelope],
        keys: Sequence[Key],
        known: Mapping[Key, bytes],
        deadline: float,
        client: Hashable,
    ) -> Sequence[Verdict]:
        """Verdicts of a batch some of whose scores are known."""

        async def ask(some: Sequence[Envelope]) -> Sequence[Verdict]:
            return await self._admitted(status.name, some, deadline, client)

        unknown = [place for place, key in enumerate(keys) if key not in known]
        verdicts: dict[int, Verdict] = {}
        if unknown:
            some, theirs = [batch[place] for place in unknown], [keys[place] for place in unknown]
            verdicts = dict(zip(unknown, await self._single_flight.ask(some, theirs, deadline, ask), strict=True))
        for place, key in enumerate(keys):
            if key in known:
                envelope = batch[place]
                verdicts[place] = Verdict(
                    envelope.id,
                    _score(known[key]),
                    envelope.task,
                    status.name,
                    status.version,
                    status.digest,
                    cached=True,
                )
        if stale := _other_versions(batch, verdicts):
            verdicts |= zip(stale, await ask([batch[place] for place in stale]), strict=True)
        return [verdicts[place] for place in range(len(batch))]

    async def _admitted(
        self, reward: str, batch: Sequence[Envelope], deadline: float, client: Hashable
    ) -> Sequence[Verdict]:
        """Asks the engine about what there is room for."""
        left = max(0.0, deadline - time.perf_counter())
        sizes: dict[int, int] = {}
        refused: dict[int, Verdict] = {}
        for place, envelope in enumerate(batch):
            size = envelope.message.ByteSize()
            try:
                self._admission.enter(reward, size, left)
                sizes[place] = size
            except OverloadedError as error:
                refused[place] = failed(envelope, error, reward)
        if not sizes:
            return list(refused.values())
        scored = 0
        try:
            taken = [batch[place] for place in sizes] if refused else batch
            verdicts = await self._asked(reward, taken, deadline, left, client)
            scored = sum(isinstance(verdict.outcome, Score) for verdict in verdicts)
        finally:
            self._admission.leave(reward, len(sizes), sum(sizes.values()), scored)
        if not refused:
            return verdicts
        found = refused | dict(zip(sizes, verdicts, strict=True))
        return [found[place] for place in range(len(batch))]

    async def _asked(
        self, reward: str, batch: Sequence[Envelope], deadline: float, left: float, client: Hashable
    ) -> Sequence[Verdict]:
        """The engine's verdicts, or Failures in their place where it broke its promise."""
        try:
            async with asyncio.timeout(left + GRACE_SECONDS):
                targets = self._engine.targets(reward)
                if not targets:
                    verdicts = await self._engine.score(reward, batch, left)
                else:
                    coalescer = self._coalescer(reward)
                    coalescer.in_flight = IN_FLIGHT * targets
                    coalescer.max_items = batch_size(self._admission.pace(reward), targets)
                    verdicts = await coalescer.put((batch, deadline), key=client, count=len(batch))
        except (TimeoutError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # it is we who are cancelled, and not something in the engine
            late = DeadlineError(f"reward {reward!r} did not answer before the message's deadline")
            return [failed(envelope, late, reward) for envelope in batch]
        except Exception as error:  # an engine raises nothing; one that does costs this batch its scores
            log.exception("the engine raised")
            return [failed(envelope, error, reward) for envelope in batch]
        if [verdict.id for verdict in verdicts] != [envelope.id for envelope in batch]:
            text = f"the engine answered {len(batch)} rollouts with {len(verdicts)} verdicts of other ids"
            return [failed(envelope, RuntimeError(text), reward) for envelope in batch]
        return verdicts

    def _coalescer(self, reward: str) -> Coalescer[_Batch, list[Verdict]]:
        found = self._coalescers.get(reward)
        if found is None:

            async def ship(batches: list[_Batch]) -> list[list[Verdict]]:
                rollouts = [envelope for batch, _ in batches for envelope in batch]
                left = max(0.0, max(deadline for _, deadline in batches) - time.perf_counter())
                verdicts = iter(await self._engine.score(reward, rollouts, left))
                return [list(islice(verdicts, len(batch))) for batch, _ in batches]

            found = self._coalescers[reward] = Coalescer(ship)
        return found


def batch_size(pace: float, targets: int) -> int:
    """How many rollouts go together of a reward that answers one in `pace` seconds, as many `targets` side by side."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, int(BATCH_SECONDS / (pace * targets)))) if pace else LARGEST_BATCH


def failed(envelope: Envelope, error: BaseException, reward: str = "") -> Verdict:
    """The verdict of a rollout that an error concerns."""
    return Verdict(envelope.id, Failure.from_error(error), envelope.task, reward)


def _current(known: dict[Key, bytes], status: RewardStatus) -> dict[Key, bytes]:
    """Those of remembered scores that the models of now have given."""
    if not status.models:
        return known
    models = set(status.models)
    return {key: score for key, score in known.items() if models.issuperset(_score(score).model.split())}


@lru_cache(maxsize=_REMEMBERED)
def _score(data: bytes) -> Score:
    return decode_score(pb.Score.FromString(data))


def _other_versions(batch: Sequence[Envelope], verdicts: Mapping[int, Verdict]) -> list[int]:
    """Places of remembered scores that another version of a model gave than the one that scored the rest of a group."""
    models: dict[str, str] = {}
    for place, verdict in verdicts.items():
        if isinstance(verdict.outcome, Score) and not verdict.cached and batch[place].group:
            models[batch[place].group] = verdict.outcome.model
    return [
        place
        for place, verdict in verdicts.items()
        if verdict.cached
        and isinstance(verdict.outcome, Score)
        and models.get(batch[place].group, verdict.outcome.model) != verdict.outcome.model
    ]
