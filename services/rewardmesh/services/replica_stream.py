"""A router's stream to one replica: batches out, verdicts in, matched by id."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import grpc
import grpc.aio

from rewardmesh.contract.alarms import Alarms, late
from rewardmesh.contract.codec import decode_response
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.outbox import Outbox
from rewardmesh.contract.verdict import Verdict
from rewardmesh.services.replica_wire import (
    CLIENT_OPTIONS,
    END,
    METHOD,
    REPLICA_KEY,
    SERVICE,
    TOKEN_KEY,
    cancel_bytes,
    score_bytes,
)
from rewardmesh.v1 import reward_pb2 as pb

# A replica that lives answers from its event loop, which a slice of an inline reward or a garbage collection may hold.
OPEN_SECONDS = 2.0
# The replica stops at the deadline itself; this lets its answer arrive on a busy machine.
GRACE_SECONDS = 0.3


class ReplicaUnreachableError(Exception):
    """No stream to a replica can be opened: it is gone, frozen, or not the one that was meant."""


class StreamLostError(Exception):
    """The stream ended before the answer came.

    Attributes:
        died: Whether the replica went with it, which the batch may be to blame for.
        alone: Whether the batch had the replica to itself, as far as this router knows.
    """

    def __init__(self, died: bool, alone: bool) -> None:
        super().__init__(f"the replica {'died' if died else 'hung up'}")
        self.died = died
        self.alone = alone


class _Waiting:
    """A message whose answer is awaited."""

    __slots__ = ("alone", "answer")

    def __init__(self, alone: bool) -> None:
        self.answer: asyncio.Future[pb.ScoreResponse] = asyncio.get_running_loop().create_future()
        self.alone = alone


class ReplicaStream:
    """An open stream. Once it is not `usable` its link replaces it; see `Link`.

    Attributes:
        rollouts: Rollouts in flight on it.
        changed: Set when it stops being usable, and again when it has ended.
        ended: Whether nothing comes from it any more.
        leaving: Whether the replica asked for no more.
    """

    def __init__(self, channel: grpc.aio.Channel, call: Any, freed: Callable[[], None]) -> None:
        self.rollouts = 0
        self.changed = asyncio.Event()
        self.ended = False
        self.leaving = False
        self._silent = False
        self._retired = False
        self._hung_up = False
        self._channel = channel
        self._call = call
        self._freed = freed
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._alarms = Alarms()  # of answers that are late
        self._outbox: Outbox[bytes] = Outbox(call.write, call.cancel)
        self._unsent: dict[int, bytes] = {}
        self._tasks = [asyncio.create_task(self._read())]

    @classmethod
    async def open(cls, address: str, token: str, replica: str, freed: Callable[[], None]) -> ReplicaStream:
        """A stream to the replica at `host:port`; calls `freed` whenever it may take another batch.

        Raises:
            ReplicaUnreachableError: It does not answer, refuses the token, or another answers there.
        """
        channel = grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS)
        try:
            call: Any = channel.stream_stream(f"/{SERVICE}/{METHOD}")(metadata=((TOKEN_KEY, token),))
            async with asyncio.timeout(OPEN_SECONDS):
                found = dict(await call.initial_metadata() or ()).get(REPLICA_KEY)
                if found is None:
                    raise ReplicaUnreachableError(f"{address}: {await call.code()}: {await call.details()}")
        except BaseException as error:
            await channel.close()
            if isinstance(error, Exception) and not isinstance(error, ReplicaUnreachableError):  # gRPC raises many
                raise ReplicaUnreachableError(f"{address}: {type(error).__name__}: {error}") from None
            raise
        if found != replica:
            await channel.close()
            raise ReplicaUnreachableError(f"{address}: {found!r} answers there, not {replica!r}")
        return cls(channel, call, freed)

    @property
    def usable(self) -> bool:
        """Whether it takes more batches."""
        return not (self.ended or self.leaving or self._silent or self._retired)

    @property
    def batches(self) -> int:
        """Batches in flight on it."""
        return len(self._waiting)

    async def score(self, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """The verdicts of a batch. A caller that gives up has it taken back.

        Raises:
            StreamLostError: The stream ended first.
            TimeoutError: The replica said nothing, not even that it was late.
        """
        id = next(self._ids)
        if len(self._waiting) == 1:
            next(iter(self._waiting.values())).alone = False
        waiting = self._waiting[id] = _Waiting(alone=not self._waiting)
        self.rollouts += len(batch)
        self._unsent[id] = score_bytes(id, batch, timeout)
        self._alarms.set(id, asyncio.get_running_loop().time() + timeout + GRACE_SECONDS, partial(late, waiting.answer))
        self._outbox.put(partial(self._unsent.pop, id, None))
        try:
            response = await waiting.answer
        except TimeoutError:
            self._take_back(id)
            self._silent = True  # it answers what is late with Failures; one that does not is not well
            self.changed.set()
            raise
        except asyncio.CancelledError:
            self._take_back(id)
            raise
        finally:
            self._alarms.call_off(id)
            self._waiting.pop(id, None)
            self.rollouts -= len(batch)
            self._freed()
            self._hang_up_when_due()
        return decode_response(response)

    def retire(self) -> None:
        """Takes no more batches, and hangs up once those in flight are answered."""
        self._retired = True
        self._hang_up_when_due()

    def fail(self, died: bool) -> None:
        """Tells all who still wait on a stream that has ended what became of the replica."""
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(StreamLostError(died, waiting.alone))

    async def close(self) -> None:
        """Hangs up at once. Who still waits is told that the stream was lost."""
        self._call.cancel()
        for task in self._tasks:
            task.cancel()
        self._end()
        self.fail(died=False)
        self._alarms.close()
        await self._outbox.close()
        await self._channel.close()

    def _take_back(self, id: int) -> None:
        if self._unsent.pop(id, None) is None:  # what has not been sent yet never will be
            self._outbox.put(partial(cancel_bytes, id))

    def _hang_up_when_due(self) -> None:
        if not self._waiting and (self._retired or self.leaving) and not self._hung_up:
            self._hung_up = True
            self._tasks.append(asyncio.create_task(self._hang_up()))

    async def _hang_up(self) -> None:
        await self._outbox.empty()
        with contextlib.suppress(Exception):  # the reader learns of the same end
            await self._call.done_writing()

    async def _read(self) -> None:
        try:
            while (data := await self._call.read()) is not END:
                response = pb.ScoreResponse.FromString(data)
                if not response.verdicts:
                    self.leaving = True
                    self.changed.set()
                    self._hang_up_when_due()
                elif (waiting := self._waiting.get(response.id)) is not None and not waiting.answer.done():
                    waiting.answer.set_result(response)
        except Exception:  # noqa: BLE001 - whatever ends it, the link finds out whether the replica lives
            self._call.cancel()
        finally:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self.changed.set()
        self._freed()
