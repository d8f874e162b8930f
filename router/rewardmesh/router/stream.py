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


class Stream:
    """A stream's life: a reader starts scoring, each message writes its own answer, and `run` waits for the end.

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
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._turn = asyncio.Lock()  # gRPC takes one write at a time
        self._messages: dict[asyncio.Task[None], int | None] = {}  # their ids; None: scored, and past cancelling
        self._changed = asyncio.Event()
        self._error: Exception | None = None
        self._draining = False

    async def run(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        """Answers until the client has sent its last message, or the server drains; cancels what is left.

        A request without a body ends the stream at once, and what is being scored with it.
        """
        reader = asyncio.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._changed.set())
        try:
            while not (self._error or _broken(reader)) and (self._messages or not (self._draining or reader.done())):
                self._changed.clear()
                await self._changed.wait()
            if self._error is not None:
                raise self._error
            if reader.done():
                reader.result()
            else:
                await self._context.abort(grpc.StatusCode.UNAVAILABLE, "the router is shutting down")
        finally:
            reader.cancel()
            for task in self._messages:
                task.cancel()

    def drain(self) -> None:
        """Takes no more messages; `run` ends when those in flight are answered."""
        self._draining = True
        self._changed.set()

    async def _read(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        async for request in requests:
            match request.WhichOneof("body"):
                case "score":
                    await self._slots.acquire()
                    if self._draining:
                        return
                    task = asyncio.create_task(self._answer(request.score))
                    self._messages[task] = request.score.id
                    task.add_done_callback(self._ended)
                case "cancel":
                    for task, id in self._messages.items():
                        if id == request.cancel:
                            task.cancel()
                case _:
                    await self._context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT, "a StreamRequest needs a body: score or cancel"
                    )

    async def _answer(self, request: pb.ScoreRequest) -> None:
        """Scores a message and writes its answer. Even of one cancelled by its id every rollout gets its verdict."""
        task = asyncio.current_task()
        assert task is not None
        count = len(request.rollouts)
        if self._rollouts and self._rollouts + count > self._limit:
            response = _all(request, OVERLOADED)
        else:
            self._rollouts += count
            try:
                response = await self._score(request)
            except asyncio.CancelledError:
                response = _all(request, CANCELLED)
            finally:
                self._rollouts -= count
        self._messages[task] = None
        async with self._turn:
            await self._context.write(response)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._messages[task]
        self._slots.release()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and self._error is None:
            self._error = error
        if self._error is not None or not self._messages:
            self._changed.set()


def _all(request: pb.ScoreRequest, failure: Failure) -> pb.ScoreResponse:
    return encode_response([Verdict(r.id, failure, r.task) for r in request.rollouts], request.id)


def _broken(reader: asyncio.Task[None]) -> bool:
    """Whether the stream is beyond answering: it was aborted, or its client is gone."""
    return reader.done() and (reader.cancelled() or reader.exception() is not None)
