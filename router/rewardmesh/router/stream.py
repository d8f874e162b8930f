"""One ScoreStream: messages are scored side by side, answered as they finish, and cancelled by id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.verdict import Verdict
from rewardmesh.router.pipeline import CANCELLED
from rewardmesh.v1 import reward_pb2 as pb

# Messages of one stream that are being scored or wait to be sent. No more are read until one is answered, so that a
# client that floods, or does not read its answers, fills its own buffers and not our memory.
MAX_IN_FLIGHT = 64

ScoringTask = asyncio.Task[pb.ScoreResponse]


class Stream:
    """A stream's life: a reader starts scoring, and whoever calls `run` writes what is done.

    Args:
        score: Answers one message.
        context: The call's; answers are written to it.
    """

    def __init__(
        self,
        score: Callable[[pb.ScoreRequest], Awaitable[pb.ScoreResponse]],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        self._score = score
        self._context = context
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._scoring: dict[ScoringTask, pb.ScoreRequest] = {}
        self._done: asyncio.Queue[ScoringTask | None] = asyncio.Queue()  # None: look whether the stream is over
        self._draining = False

    async def run(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        """Answers until the client has sent its last message, or the server drains; cancels what is left.

        A request without a body ends the stream at once, and what is being scored with it.
        """
        reader = asyncio.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._done.put_nowait(None))
        try:
            while not _broken(reader) and (self._scoring or not (self._draining or reader.done())):
                done = await self._done.get()
                if done is not None:
                    await self._context.write(_answer(done, self._scoring.pop(done)))
                    self._slots.release()
            if reader.done():
                reader.result()
            else:
                await self._context.abort(grpc.StatusCode.UNAVAILABLE, "the router is shutting down")
        finally:
            reader.cancel()
            for task in self._scoring:
                task.cancel()

    def drain(self) -> None:
        """Takes no more messages; `run` ends when those in flight are answered."""
        self._draining = True
        self._done.put_nowait(None)

    async def _read(self, requests: AsyncIterator[pb.StreamRequest]) -> None:
        async for request in requests:
            match request.WhichOneof("body"):
                case "score":
                    await self._slots.acquire()
                    if self._draining:
                        return
                    task = asyncio.ensure_future(self._score(request.score))
                    self._scoring[task] = request.score
                    task.add_done_callback(self._done.put_nowait)
                case "cancel":
                    for task, scored in self._scoring.items():
                        if scored.id == request.cancel:
                            task.cancel()
                case _:
                    await self._context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT, "a StreamRequest needs a body: score or cancel"
                    )


def _broken(reader: asyncio.Task[None]) -> bool:
    """Whether the stream is beyond answering: it was aborted, or its client is gone."""
    return reader.done() and (reader.cancelled() or reader.exception() is not None)


def _answer(done: ScoringTask, request: pb.ScoreRequest) -> pb.ScoreResponse:
    """The response. Even of a message cancelled by its id every rollout gets its verdict."""
    if not done.cancelled():
        return done.result()
    return encode_response([Verdict(r.id, CANCELLED, r.task) for r in request.rollouts], request.id)
