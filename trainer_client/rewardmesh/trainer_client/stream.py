"""One ScoreStream kept alive: questions out, answers in, correlated by id, asked again when the stream is lost."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from rewardmesh.contract.greeting import VERSION_KEY, Greeting, MessageLimits
from rewardmesh.trainer_client.channel import AioRpcError, Channel, StreamStreamCall
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1 import reward_pb2_grpc as rpc

MAX_IN_FLIGHT = 64  # messages on the way; more wait here, where they still have a deadline, not in the server's memory
GREETING_SECONDS = 1.0  # a server greets as a stream opens; one that does not is taken at its defaults
GRACE_SECONDS = 1.0  # the server answers `timeout` itself at the deadline; this is for its answer to arrive
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


@dataclass(eq=False, slots=True)
class _Question:
    request: pb.ScoreRequest
    size: int  # in bytes as it is sent, at most
    deadline: float  # on the loop's clock
    answer: asyncio.Future[pb.ScoreResponse] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sent: float | None = None  # when it was written to the stream that is open now


class Stream:
    """The stream to one server. Belongs to the event loop it is first used on; opens on the first question.

    Attributes:
        target: host:port of the server.
        greeting: What the server told when the stream opened; the defaults before.
    """

    def __init__(self, target: str, open_channel: Callable[[], Channel], version: str) -> None:
        self.target = target
        self.greeting = Greeting()
        self._open_channel = open_channel
        self._version = version
        self._ids = itertools.count(1)
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._questions: dict[int, _Question] = {}  # unanswered, in the order they were asked
        self._outbox: asyncio.Queue[_Question] = asyncio.Queue()  # to be sent or, if nobody waits any more, cancelled
        self._call: StreamCall | None = None  # while it is open
        self._heard = 0.0  # when the server last said anything
        self._ceiling: int | None = None  # bytes of a message that something on the way takes, as a refusal told
        self._trouble = "still connecting"
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def limits(self) -> MessageLimits:
        """How large a message may be, as far as is known."""
        told = self.greeting.limits
        return told if self._ceiling is None else told._replace(message_bytes=min(told.message_bytes, self._ceiling))

    async def ask(self, request: pb.ScoreRequest, size: int, deadline: float) -> pb.ScoreResponse:
        """The server's answer by `deadline`, a time of the event loop. The request's id and timeout are set here.

        `size` is that of the message, in bytes; it may be less in the end, never more. Cancelling it, or giving up,
        tells the server that the answer is no longer wanted. A request may be sent more than once, after its stream was
        lost; scoring is idempotent.

        Raises:
            OverLimitsError: The server does not take messages this large.
            TimeoutError: The server was there but did not answer, not even a little after the deadline.
            ConnectionError: There was no connection at the deadline, or the stream was closed.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise self._gave_up(f"{MAX_IN_FLIGHT} messages before it were not answered") from None
        try:
            return await self._ask(request, size, deadline)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Closes the stream; questions still waiting raise ConnectionError."""
        self._closed = True
        for question in self._questions.values():
            if not question.answer.done():
                question.answer.set_exception(ConnectionError("the client was closed"))
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _ask(self, request: pb.ScoreRequest, size: int, deadline: float) -> pb.ScoreResponse:
        if self._closed:
            raise ConnectionError("the client was closed")
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep_open(), name=f"rewardmesh stream to {self.target}")
        now = asyncio.get_running_loop().time
        request.id = next(self._ids)
        question = self._questions[request.id] = _Question(request, size, deadline)
        self._outbox.put_nowait(question)
        try:
            await asyncio.wait([question.answer], timeout=deadline - now())
            if question.sent is not None:
                await asyncio.wait([question.answer], timeout=deadline + GRACE_SECONDS - now())
            if question.answer.done():
                return question.answer.result()
            if question.sent is not None and self._call is not None and self._heard < question.sent:
                self._call.cancel()  # not a word since: the connection may be half open, which only a new one mends
            raise self._gave_up("no answer came")
        finally:
            del self._questions[request.id]
            if question.answer.cancel() and question.sent is not None:
                self._outbox.put_nowait(question)

    def _gave_up(self, what: str) -> OSError:
        if self._call is None:
            return ConnectionError(f"no connection to {self.target} in time: {self._trouble}")
        return TimeoutError(f"no verdict from {self.target} in time: {what}")

    async def _keep_open(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            async with self._open_channel() as channel:  # a new one each time: the old connection may be half open
                stub: Any = rpc.RewardServiceStub(channel)  # generated code is untyped
                call = cast(StreamCall, stub.ScoreStream(metadata=((VERSION_KEY, self._version),)))
                try:
                    await call.wait_for_connection()
                    backoff = FIRST_BACKOFF
                    await self._converse(call)
                    self._trouble = "the server closed the stream"
                except AioRpcError as error:
                    if refusal := _REFUSAL.search(error.details() or ""):  # sent again unchanged, it would be again
                        self._ceiling = int(refusal[1])
                    self._trouble = f"{error.code().name}: {error.details()}"
                except asyncio.CancelledError:
                    if cast(asyncio.Task[None], asyncio.current_task()).cancelling():
                        raise
                    self._trouble = "the server fell silent"  # and `_ask` cancelled the call
                finally:
                    self._call = None
                    call.cancel()
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
            backoff = min(2 * backoff, MAX_BACKOFF)

    async def _converse(self, call: StreamCall) -> None:
        """Sends and receives until the stream ends. Raises AioRpcError when it ends badly."""
        self._call = call
        helpers = [asyncio.create_task(self._hear(call))]
        try:
            await asyncio.wait(helpers, timeout=GREETING_SECONDS)  # before anything is sent that it does not take
            self._outbox = asyncio.Queue()
            for question in self._questions.values():  # the last stream took its unanswered questions with it
                question.sent = None
                self._outbox.put_nowait(question)
            helpers.append(asyncio.create_task(self._write(call, self._outbox)))
            await self._read(call)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)  # when writing fails, reading says why
            for question in self._questions.values():
                question.sent = None

    async def _hear(self, call: StreamCall) -> None:
        if metadata := await call.initial_metadata():  # none where the call failed at once
            self.greeting = Greeting.from_metadata(metadata)

    async def _write(self, call: StreamCall, outbox: asyncio.Queue[_Question]) -> None:
        now = asyncio.get_running_loop().time
        try:
            while True:
                question = await outbox.get()
                left = question.deadline - now()
                if question.answer.done():
                    if question.answer.cancelled() and question.sent is not None:
                        await call.write(pb.StreamRequest(cancel=question.request.id))
                elif _over(question, self.limits):
                    question.answer.set_exception(OverLimitsError(self.limits))
                elif left > 0:  # else its asker is about to give up
                    question.sent = now()
                    question.request.options.timeout_seconds = left
                    await call.write(pb.StreamRequest(score=question.request))
        finally:
            call.cancel()  # whoever cannot write need not wait for answers

    async def _read(self, call: StreamCall) -> None:
        async for response in call:
            self._heard = asyncio.get_running_loop().time()
            question = self._questions.get(response.id)
            if question is not None and not question.answer.done():
                question.answer.set_result(response)


def _over(question: _Question, limits: MessageLimits) -> bool:
    return question.size > limits.message_bytes or len(question.request.rollouts) > limits.rollouts
