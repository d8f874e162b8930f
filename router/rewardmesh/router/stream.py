"""One ScoreStream: messages are scored side by side, answered as they finish, and cancelled by id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.pipeline import CANCELLED
from rewardmesh.v1 import reward_pb2 as pb

# Messages of one stream that are being scored or wait to be sent. No more are read until one is answered, so that a
# client that floods, or does not read its answers, fills its own buffers and not our memory.
MAX_IN_FLIGHT = 64
OVERLOADED = Failure(
    "overloaded", "this client has too many rollouts on the way; wait for some", retryable=True, retry_after_seconds=0.1
)
# Tasks that have nothing to do: one reads the next message, one takes its place when it has.
_IDLE = 2


class Stream:
    """A stream's life: tasks that each read a message, score it and write its answer, while another reads the next.

    Whoever has read a message goes on with it at once: handing it to another task would cost a turn of the event loop,
    and so would reading the next one first.

    Args:
        score: Answers one message.
        context: The call's; answers are written to it.
        rollouts: How many may be on the way; messages beyond that are answered `overloaded`.
    """

    def __init__(
        self,
        score: Callable[[pb.ScoreRequest], Awaitable[pb.ScoreResponse]],
        context: grpc.aio.ServicerContext[Any, Any],
        rollouts: int,
    ) -> None:
        self._score = score
        self._context = context
        self._limit = rollouts
        self._rollouts = 0
        self._reading = asyncio.Lock()
        self._writing = asyncio.Lock()  # gRPC takes one write at a time
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = 0  # of them, those that read or wait for their turn to
        self._scoring: dict[asyncio.Task[None], int] = {}  # the ids of their messages
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._read_all = self._draining = self._over = False

    async def run(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        """Answers until the client has sent its last message, or the server drains; cancels what is left.

        A request without a body ends the stream at once, and what is being scored with it.
        """
        self._hire(requests)
        try:
            while self._error is None and (self._busy or not (self._draining or self._read_all)):
                self._changed.clear()
                await self._changed.wait()
            if self._error is not None:
                raise self._error
            if not self._read_all:
                await self._context.abort(grpc.StatusCode.UNAVAILABLE, "the router is shutting down")
        finally:
            self._over = True
            for task in self._tasks:
                task.cancel()

    def drain(self) -> None:
        """Takes no more messages; `run` ends when those in flight are answered."""
        self._draining = True
        self._changed.set()

    @property
    def _busy(self) -> bool:
        return len(self._tasks) > self._idle

    def _hire(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        task = asyncio.create_task(self._work(requests))
        self._idle += 1
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _work(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        while True:
            async with self._reading:
                request = None if self._read_all else await self._next(requests)
            self._idle -= 1
            if request is None:
                return
            if not self._idle and len(self._tasks) < MAX_IN_FLIGHT:
                self._hire(requests)
            if len(self._tasks) - self._idle > 1:  # when it is busy, the next is to be here when this one is done
                await asyncio.sleep(0)
            await self._answer(request)
            if self._idle >= _IDLE or self._over:
                return
            self._idle += 1
            if self._draining:
                self._changed.set()

    async def _next(self, requests: AsyncIterator[pb.StreamRequest]) -> pb.ScoreRequest | None:
        """The next message to be scored; None when no more are taken."""
        async for request in requests:
            match request.WhichOneof("body"):
                case "score":
                    return None if self._draining else request.score
                case "cancel":
                    for task, id in self._scoring.items():
                        if id == request.cancel:
                            task.cancel()
                case _:
                    await self._context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT, "a StreamRequest needs a body: score or cancel"
                    )
        self._read_all = True
        return None

    async def _answer(self, request: pb.ScoreRequest) -> None:
        """Scores a message and writes its answer. Even of one cancelled by its id every rollout gets its verdict."""
        count = len(request.rollouts)
        if self._rollouts and self._rollouts + count > self._limit:
            response = _all(request, OVERLOADED)
        else:
            response = await self._scored(request, count)
        async with self._writing:
            await self._context.write(response)

    async def _scored(self, request: pb.ScoreRequest, count: int) -> pb.ScoreResponse:
        task = asyncio.current_task()
        assert task is not None
        self._scoring[task] = request.id
        self._rollouts += count
        try:
            return await self._score(request)
        except asyncio.CancelledError:
            if self._over:
                raise
            task.uncancel()  # it was the message that was cancelled: the task goes on
            return _all(request, CANCELLED)
        finally:
            self._rollouts -= count
            del self._scoring[task]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._error is None:
            self._error = error
        self._changed.set()


def _all(request: pb.ScoreRequest, failure: Failure) -> pb.ScoreResponse:
    return encode_response([Verdict(r.id, failure, r.task) for r in request.rollouts], request.id)
