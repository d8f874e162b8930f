"""One ScoreStream: messages are scored side by side, answered as they finish, and cancelled by id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.relay import Relay
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.pipeline import CANCELLED
from rewardmesh.router.unreadable import refuse
from rewardmesh.services.replica_wire import END
from rewardmesh.v1 import reward_pb2 as pb

# Messages of one stream that are being scored or wait to be sent. No more are read until one is answered, so that a
# client that floods, or does not read its answers, fills its own buffers and not our memory.
MAX_IN_FLIGHT = 64
OVERLOADED = Failure(
    "overloaded", "this client has too many rollouts on the way; wait for some", retryable=True, retry_after_seconds=0.1
)


class Stream:
    """A stream's life: messages in, answers out, until the client has sent its last or the server drains.

    Args:
        score: Answers one message.
        context: The call's; messages are read from it, and answers written to it.
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
        self._writing = asyncio.Lock()  # gRPC takes one write at a time
        self._relay = Relay(self._next, self._answer, MAX_IN_FLIGHT)
        self._read_all = False

    async def run(self) -> None:
        """Answers until the client has sent its last message, or the server drains; cancels what is left.

        A request without a body ends the stream at once, and what is being scored with it.
        """
        await self._relay.run()
        if not self._read_all:
            await self._context.abort(grpc.StatusCode.UNAVAILABLE, "the router is shutting down")

    def drain(self) -> None:
        """Takes no more messages; `run` ends when those in flight are answered."""
        self._relay.stop()

    async def _next(self) -> pb.ScoreRequest | None:
        """The next message to be scored; None when no more are taken."""
        while True:
            try:
                request = await self._context.read()
            except DecodeError as error:
                await refuse(error, self._context)
                return None
            if request is END:
                self._read_all = True
                return None
            match request.WhichOneof("body"):
                case "score":
                    return None if self._relay.stopped else request.score
                case "cancel":
                    self._relay.cancel(request.cancel)
                case _:
                    await self._context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT, "a StreamRequest needs a body: score or cancel"
                    )

    async def _answer(self, request: pb.ScoreRequest) -> None:
        """Scores a message and writes its answer. Even of one cancelled by its id every rollout gets its verdict."""
        count = len(request.rollouts)
        if self._rollouts and self._rollouts + count > self._limit:
            response = _all(request, OVERLOADED)
        else:
            self._rollouts += count
            try:
                scored = await self._relay.unless_cancelled(request.id, self._score(request))
            finally:
                self._rollouts -= count
            response = _all(request, CANCELLED) if scored is None else scored
        await self._writing.acquire()  # as in `Relay`
        try:
            await self._context.write(response)
        finally:
            self._writing.release()


def _all(request: pb.ScoreRequest, failure: Failure) -> pb.ScoreResponse:
    return encode_response([Verdict(r.id, failure, r.task) for r in request.rollouts], request.id)
