"""Routers: whom to ask. Several streams, the least busy first; what one loses another is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, NamedTuple

from rewardmesh.contract.greeting import MessageLimits
from rewardmesh.trainer_client.channel import AioRpcError, Channel, open_channel
from rewardmesh.trainer_client.hedge import hedged
from rewardmesh.trainer_client.rewards import list_rewards, pure_tasks
from rewardmesh.trainer_client.stream import MAX_IN_FLIGHT, LostError, Stream
from rewardmesh.trainer_client.targets import Address, is_name, resolve
from rewardmesh.v1 import reward_pb2 as pb

MAX_LOSSES = 4  # streams that one message may lose: it may be what kills the routers
MAX_HEDGES = 4  # second copies on their way: when everything is late, twice the load does not help
RESOLVE_SECONDS = 15.0  # how long a router that was added under a DNS name may go unnoticed
FIRST_RESOLVE_SECONDS = 1.0  # the same where a router was lost
LEAVE_SECONDS = 0.1  # between two looks whether a stream that is to be closed has answered
LEARN_SECONDS = 5.0  # for a router to list its rewards


class Answer(NamedTuple):
    """What came back, and from whom."""

    response: pb.ScoreResponse
    stream: Stream


class Routers:
    """The routers of one client. Belongs to the event loop it is first used on; connects on the first question.

    Args:
        targets: As `targets.parse` returns them.
        root_certificates: PEM certificates to check the routers' with; None: no TLS.
        version: The client's own.
        hedge_after: Seconds after which a message whose tasks are all scored by pure rewards is sent to a second router
            too; None: never.

    Attributes:
        up: How many of them take questions.
        limits: What every one of them takes, as far as is known.
    """

    def __init__(
        self, targets: Sequence[str], root_certificates: bytes | None, version: str, hedge_after: float | None = None
    ) -> None:
        self.targets = tuple(targets)
        self._root_certificates = root_certificates
        self._version = version
        self._hedge_after = hedge_after
        self._streams = {Address(target): self._stream(Address(target)) for target in targets if not is_name(target)}
        self._leaving: dict[asyncio.Task[None], Stream] = {}
        self._changed = asyncio.Event()
        self._finder: asyncio.Task[None] | None = None
        self._opened = self._closed = False
        self._turn = self._hedges = self._waiting = 0
        self._tell: Callable[[], None] | None = None
        self.up = 0
        self.limits = MessageLimits()

    @property
    def streams(self) -> list[Stream]:
        """One for each router that is known."""
        return list(self._streams.values())

    def on_change(self, tell: Callable[[], None]) -> None:
        """Has `tell` called whenever `up` or `limits` may be others."""
        self._tell = tell

    @property
    def closed(self) -> bool:
        """Whether no more is asked."""
        return self._closed

    async def ask(self, message: pb.StreamRequest, size: int, deadline: float, tasks: frozenset[Hashable]) -> Answer:
        """A router's answer by `deadline`, a time of the event loop.

        A message may be sent more than once, when its stream was lost; scoring is idempotent.

        Args:
            message: Rollouts to be scored; its id and timeout are set on the way.
            size: Its bytes, at most.
            deadline: When it is given up, a little after.
            tasks: What it needs of a router: it goes to one that does not rest from that, and what is named by a text
                is a task's name by which purity is looked up.

        Raises:
            OverLimitsError: The router does not take messages this large.
            TimeoutError: A router was there but did not answer in time.
            LostError: The connection was lost too often.
            ConnectionError: There was no connection in time, or the client was closed.
        """
        for _ in range(MAX_LOSSES):
            stream = self._pick(tasks) or await self._free(deadline, tasks)
            try:
                if self._hedge_after is None or not tasks <= stream.pure_tasks:
                    return Answer(await stream.ask(message, size, deadline), stream)
                return await self._hedged(stream, self._hedge_after, message, size, deadline, tasks)
            except LostError:
                continue
        raise LostError(f"asked {MAX_LOSSES} times, and lost each connection: {self._troubles()}")

    def rest(self, stream: Stream, tasks: frozenset[Hashable], seconds: float) -> None:
        """Others are to be asked for these tasks, where there are any."""
        now = asyncio.get_running_loop().time()
        stream.rests = {known: end for known, end in stream.rests.items() if end > now} | {tasks: now + seconds}

    async def close(self) -> None:
        """Closes all; questions still waiting raise ConnectionError."""
        self._closed = True
        if self._finder is not None:
            self._finder.cancel()
        self._notify()
        await asyncio.gather(*(stream.close() for stream in [*self.streams, *self._leaving.values()]))
        await asyncio.gather(*self._leaving)

    async def _free(self, deadline: float, tasks: frozenset[Hashable]) -> Stream:
        """A stream with room, waited for until the deadline."""
        if not self._opened:
            self._open()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while not self._closed:
                    stream = self._pick(tasks)
                    if stream is not None:
                        return stream
                    self._waiting += 1
                    try:
                        await self._changed.wait()
                    finally:
                        self._waiting -= 1
        if self._closed:
            raise ConnectionError("the client was closed")
        if self.up:
            before = f"{MAX_IN_FLIGHT} messages before it were not answered"
            raise TimeoutError(f"no verdict from {','.join(self.targets)} in time: {before}")
        raise ConnectionError(f"no connection to {','.join(self.targets)} in time: {self._troubles()}")

    def _pick(self, tasks: frozenset[Hashable], but: Stream | None = None) -> Stream | None:
        """The least busy of those that are up, in turn; those that rest only when no other is there."""
        if self._closed:
            return None
        streams = self.streams
        if len(streams) == 1:  # mostly
            [only] = streams
            return only if only.up and only is not but and only.in_flight < MAX_IN_FLIGHT else None
        self._turn += 1
        now = asyncio.get_running_loop().time()
        best: tuple[tuple[bool, int], Stream] | None = None
        for place in range(len(streams)):
            stream = streams[(self._turn + place) % len(streams)]
            if stream.up and stream is not but and stream.in_flight < MAX_IN_FLIGHT:
                rank = (stream.rests.get(tasks, 0.0) > now, stream.in_flight)
                if best is None or rank < best[0]:
                    best = (rank, stream)
        return best and best[1]

    async def _hedged(
        self,
        first: Stream,
        after: float,
        message: pb.StreamRequest,
        size: int,
        deadline: float,
        tasks: frozenset[Hashable],
    ) -> Answer:
        async def ask(stream: Stream, message: pb.StreamRequest) -> Answer:
            return Answer(await stream.ask(message, size, deadline), stream)

        async def ask_too(stream: Stream) -> Answer:
            copy = pb.StreamRequest()
            copy.CopyFrom(message)  # each stream sets its own id and timeout
            self._hedges += 1
            try:
                return await ask(stream, copy)
            finally:
                self._hedges -= 1

        def second() -> Coroutine[Any, Any, Answer] | None:
            other = self._pick(tasks, but=first) if self._hedges < MAX_HEDGES else None
            return ask_too(other) if other is not None and tasks <= other.pure_tasks else None

        return await hedged(ask(first, message), second, after, _scored)

    def _open(self) -> None:
        self._opened = True
        for stream in self.streams:
            stream.open()
        if any(map(is_name, self.targets)):
            self._finder = asyncio.create_task(self._find(), name="rewardmesh resolver")

    def _stream(self, address: Address) -> Stream:
        learn = None if self._hedge_after is None else _learn_purity

        def channel() -> Channel:
            return open_channel(address.target, self._root_certificates, address.name)

        return Stream(address.target, channel, self._version, self._notify, self._freed, learn)

    async def _find(self) -> None:
        """Keeps the streams those of the addresses that the names have now."""
        names = [target for target in self.targets if is_name(target)]
        fixed = {Address(target) for target in self.targets if not is_name(target)}
        found: dict[str, list[Address]] = {}
        while True:
            for name in names:
                # gRPC is given a name that cannot be resolved, and says why it is no use.
                found[name] = await resolve(name) or found.get(name) or [Address(name)]
            self._replace(fixed.union(*found.values()))
            whole = bool(self._streams) and self.up == len(self._streams)
            await asyncio.sleep(RESOLVE_SECONDS if whole else FIRST_RESOLVE_SECONDS)

    def _replace(self, addresses: set[Address]) -> None:
        for address in addresses - self._streams.keys():
            self._streams[address] = self._stream(address)
            self._streams[address].open()
        for address in self._streams.keys() - addresses:
            stream = self._streams.pop(address)
            task = asyncio.create_task(_leave(stream))
            self._leaving[task] = stream
            task.add_done_callback(self._leaving.pop)

    def _notify(self) -> None:
        """A stream has come up or gone down, or knows its limits: who waits for one looks again."""
        streams = self._streams.values()
        told = [stream.limits for stream in streams] or [MessageLimits()]
        self.up = sum(stream.up for stream in streams)
        self.limits = MessageLimits(min(t.message_bytes for t in told), min(t.rollouts for t in told))
        if self._tell is not None:
            self._tell()
        self._freed()

    def _freed(self) -> None:
        """A stream has room again."""
        if self._waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    def _troubles(self) -> str:
        troubles = {stream.target: stream.trouble for stream in self.streams if not stream.up}
        if len(self.targets) == 1 and len(troubles) == 1:
            return next(iter(troubles.values()))
        return "; ".join(f"{target}: {trouble}" for target, trouble in troubles.items())


def _scored(answer: Answer) -> bool:
    """Whether it is worth more than waiting for another: nobody in it is asked to try again."""
    return not any(verdict.failure.retryable for verdict in answer.response.verdicts if verdict.HasField("failure"))


async def _learn_purity(stream: Stream, channel: Channel) -> None:
    with contextlib.suppress(AioRpcError):  # a router that does not say has none
        stream.pure_tasks = pure_tasks(await list_rewards(channel, LEARN_SECONDS, wait=True))


async def _leave(stream: Stream) -> None:
    """Closes a stream whose address is no longer that of a router, when it has answered what it was asked."""
    while stream.up and stream.in_flight:  # noqa: ASYNC110 - nothing waits for it
        await asyncio.sleep(LEAVE_SECONDS)
    await stream.close()
