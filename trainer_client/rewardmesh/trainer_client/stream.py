"""One ScoreStream kept alive: questions out, answers in, correlated by id. What it loses is to be asked again."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, cast

from rewardmesh.contract.alarms import Alarms, late
from rewardmesh.contract.greeting import VERSION_KEY, Greeting, MessageLimits
from rewardmesh.contract.outbox import Outbox
from rewardmesh.trainer_client.backoff import backoff
from rewardmesh.trainer_client.channel import AioRpcError, Channel, ChannelConnectivity, StreamStreamCall
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1 import reward_pb2_grpc as rpc

MAX_IN_FLIGHT = 64  # messages on the way; more wait here, where they still have a deadline, not in the server's memory
GREETING_SECONDS = 1.0  # a server greets as a stream opens; one that does not is taken at its defaults
GRACE_SECONDS = 1.0  # how long after its deadline a call returns at the latest
ANSWER_SECONDS = 0.9 * GRACE_SECONDS  # the server answers `timeout` itself; this is for its answer to arrive
FIRST_BACKOFF = 0.05  # seconds; a router that restarts is back in about a second
MAX_BACKOFF = 2.0  # seconds; a whole cluster of trainers that reconnects should not be a herd

StreamCall = StreamStreamCall[pb.StreamRequest, pb.ScoreResponse]

# What gRPC, in C and in Go, ends a stream with when a message was too large for the server or a proxy before it.
_REFUSAL = re.compile(r"received message larger than max \(\d+ vs\. (\d+)\)", re.IGNORECASE)


class OverLimitsError(Exception):
    """The message is larger than `limits`, the server's."""

    def __init__(self, limits: MessageLimits) -> None:
        super().__init__(limits)
        self.limits = limits


class LostError(ConnectionError):
    """The stream ended, or was not open, before there was an answer."""


class _Question:
    """A message whose answer is awaited; times are the loop's."""

    __slots__ = ("answer", "deadline", "message", "sent")

    def __init__(self, message: pb.StreamRequest, deadline: float) -> None:
        self.message = message
        self.deadline = deadline
        self.answer: asyncio.Future[pb.ScoreResponse] = asyncio.get_running_loop().create_future()
        self.sent: float | None = None

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for the answer any more."""
        answer = self.answer
        return answer.cancelled() or (answer.done() and isinstance(answer.exception(), TimeoutError))

    def to_be_sent(self) -> pb.StreamRequest | None:
        """Its message, as it is now; None where nobody waits for the answer."""
        now = asyncio.get_running_loop().time()
        left = self.deadline - now
        if self.answer.done() or left <= 0:
            late(self.answer)
            return None
        self.sent = now
        self.message.score.options.timeout_seconds = left
        return self.message


class Stream:
    """The stream to one server. Belongs to the event loop it is first used on.

    Args:
        target: host:port of the server.
        open_channel: A new channel to it.
        version: The client's own, told to the server.
        changed: Called when the stream has come up or gone down.
        freed: Called when it has room again.
        learn: What else is to be asked of the server as soon as the stream is up.

    Attributes:
        greeting: What the server told when the stream opened last; the defaults before.
        trouble: Why the stream is not up, for a person.
        rests: What it is better not asked for now, until when on the loop's clock.
    """

    def __init__(
        self,
        target: str,
        open_channel: Callable[[], Channel],
        version: str,
        changed: Callable[[], None],
        freed: Callable[[], None],
        learn: Callable[[Stream, Channel], Any] | None = None,
    ) -> None:
        self.target = target
        self.greeting = Greeting()
        self.trouble = "still connecting"
        self.rests: dict[Hashable, float] = {}
        self.pure_tasks: frozenset[str] = frozenset()
        self._open_channel = open_channel
        self._version = version
        self._changed = changed
        self._freed = freed
        self._learn = learn
        self._ids = itertools.count(1)
        self._questions: dict[int, _Question] = {}  # unanswered
        self._alarms = Alarms()  # of questions whose answer is late
        self._call: StreamCall | None = None  # while it is open and the server takes messages
        self._outbox: Outbox[pb.StreamRequest] | None = None  # the call's
        self._heard = 0.0  # when the server last said anything
        self._ceiling: int | None = None  # bytes of a message that something on the way takes, as a refusal told
        self._keeper: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether it takes questions: it is open, and its server is not about to end it."""
        return self._call is not None

    @property
    def in_flight(self) -> int:
        """Questions without an answer."""
        return len(self._questions)

    @property
    def limits(self) -> MessageLimits:
        """How large a message may be, as far as is known."""
        told = self.greeting.limits
        return told if self._ceiling is None else told._replace(message_bytes=min(told.message_bytes, self._ceiling))

    def open(self) -> None:
        """Connects, now and whenever the connection is lost, until it is closed."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_open(), name=f"rewardmesh stream to {self.target}")

    async def ask(self, message: pb.StreamRequest, size: int, deadline: float) -> pb.ScoreResponse:
        """The server's answer by `deadline`, a time of the event loop.

        `message` holds rollouts to be scored; its id and timeout are set here. `size` is its size in bytes, which may
        be less in the end, never more. Cancelling this, or giving up, tells the server that the answer is no longer
        wanted.

        Raises:
            OverLimitsError: The server does not take messages this large.
            LostError: The stream is not up, or was lost.
            TimeoutError: The server was there but did not answer, not even a little after the deadline.
            ConnectionError: The stream was closed on this side.
        """
        call, outbox = self._call, self._outbox
        if call is None or outbox is None:
            raise LostError(self.trouble)
        limits = self.limits
        if size > limits.message_bytes or len(message.score.rollouts) > limits.rollouts:
            raise OverLimitsError(limits)
        id = message.score.id = next(self._ids)
        question = self._questions[id] = _Question(message, deadline)
        try:
            outbox.put(question.to_be_sent)
            self._alarms.set(id, deadline + ANSWER_SECONDS, partial(late, question.answer))
            return await question.answer
        except TimeoutError:
            if question.sent is not None and self._heard < question.sent:
                call.cancel()  # not a word since: the connection may be half open, which only a new one mends
            raise TimeoutError(f"no verdict from {self.target} in time: no answer came") from None
        finally:
            self._alarms.call_off(id)
            del self._questions[id]
            if question.sent is not None and question.given_up:
                outbox.put(lambda: pb.StreamRequest(cancel=id))
            self._freed()

    async def close(self) -> None:
        """Closes the stream; questions still waiting raise ConnectionError."""
        self._fail_all(ConnectionError("the client was closed"))
        self._alarms.close()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep_open(self) -> None:
        failures = 0
        while True:
            async with self._open_channel() as channel:  # a new one each time: the old connection may be half open
                stub: Any = rpc.RewardServiceStub(channel)  # generated code is untyped
                call = cast(StreamCall, stub.ScoreStream(metadata=((VERSION_KEY, self._version),)))
                try:
                    await call.wait_for_connection()
                    failures = 0
                    await self._converse(call, channel)
                    self.trouble = "the server closed the stream"
                except AioRpcError as error:
                    if refusal := _REFUSAL.search(error.details() or ""):  # sent again unchanged, it would be again
                        self._ceiling = int(refusal[1])
                    self.trouble = f"{error.code().name}: {error.details()}"
                except asyncio.CancelledError:
                    if cast(asyncio.Task[None], asyncio.current_task()).cancelling():
                        raise
                    self.trouble = "the server fell silent"  # and `ask` cancelled the call
                finally:
                    self._call = None
                    call.cancel()
                    self._fail_all(LostError(self.trouble))
                    self._changed()
            await asyncio.sleep(backoff(failures, FIRST_BACKOFF, MAX_BACKOFF))
            failures += 1

    async def _converse(self, call: StreamCall, channel: Channel) -> None:
        """Sends and receives until the stream ends. Raises AioRpcError when it ends badly."""
        outbox = Outbox(call.write, call.cancel)
        helpers = [asyncio.create_task(self._hear(call))]
        try:
            await asyncio.wait(helpers, timeout=GREETING_SECONDS)  # before anything is sent that it does not take
            helpers.append(asyncio.create_task(self._watch(call, channel)))
            if self._learn is not None:
                helpers.append(asyncio.create_task(self._learn(self, channel)))
            self._outbox = outbox
            self._call = call
            self._changed()
            await self._read(call)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(outbox.close(), *helpers, return_exceptions=True)

    async def _hear(self, call: StreamCall) -> None:
        if metadata := await call.initial_metadata():  # none where the call failed at once
            self.greeting = Greeting.from_metadata(metadata)

    async def _watch(self, call: StreamCall, channel: Channel) -> None:
        """A server that shuts down says so to the connection first: it answers what it has, and takes no more."""
        await channel.wait_for_state_change(ChannelConnectivity.READY)
        if self._call is call:
            self._call = None
            self.trouble = "the server is shutting down"
            self._changed()

    async def _read(self, call: StreamCall) -> None:
        async for response in call:
            self._heard = asyncio.get_running_loop().time()
            question = self._questions.get(response.id)
            if question is not None and not question.answer.done():
                question.answer.set_result(response)

    def _fail_all(self, error: ConnectionError) -> None:
        for question in self._questions.values():
            if not question.answer.done():
                question.answer.set_exception(error)
