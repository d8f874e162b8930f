"""A replica's own gRPC server: streams of batches from routers, past Ray Serve's handles."""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.services.replica_wire import END, LEAVING, METHOD, REPLICA_KEY, SERVER_OPTIONS, SERVICE, TOKEN_KEY
from rewardmesh.v1 import reward_pb2 as pb

Score: TypeAlias = Callable[[Sequence[Envelope], float], Awaitable[Sequence[Verdict]]]
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ReplicaServer:
    """Answers routers that know the token. `start` and `stop` are called once, on the event loop that scores.

    Args:
        score: Scores a batch within so many seconds.
        token: What a router must show.
        replica: The replica's id, told to whoever has shown it.
    """

    def __init__(self, score: Score, token: str, replica: str) -> None:
        self._score = score
        self._token = token.encode()
        self._replica = replica
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._sessions: set[_Session] = set()
        self._leaving = False

    @property
    def batches(self) -> int:
        """Batches that are being scored now."""
        return sum(session.batches for session in self._sessions)

    async def start(self, host: str) -> str:
        """Listens on a free port of this address of ours; returns `host:port`. Raises RuntimeError when it cannot."""
        method = grpc.stream_stream_rpc_method_handler(self._stream)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))
        host = f"[{host}]" if ":" in host else host
        port = self._server.add_insecure_port(f"{host}:0")
        await self._server.start()
        return f"{host}:{port}"

    async def stop(self, seconds: float) -> None:
        """Asks routers to send no more, answers what it has for up to so many seconds, and closes."""
        self._leaving = True
        for session in self._sessions:
            session.leave()
        await self._server.stop(seconds)

    async def _stream(self, _: object, context: Context) -> None:
        shown = dict(context.invocation_metadata() or ()).get(TOKEN_KEY, "")
        if not hmac.compare_digest(shown if isinstance(shown, bytes) else shown.encode(), self._token):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this replica answers its own routers only")
        await context.send_initial_metadata(((REPLICA_KEY, self._replica),))
        session = _Session(self._score, context)
        self._sessions.add(session)
        try:
            if self._leaving:
                session.leave()
            await session.run()
        finally:
            self._sessions.discard(session)


class _Session:
    """One router's stream."""

    def __init__(self, score: Score, context: Context) -> None:
        self._score = score
        self._context = context
        self._scoring: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # those that write their answer too, which must not be cancelled
        self._outbox: deque[bytes] = deque()
        self._writing = False

    @property
    def batches(self) -> int:
        return len(self._scoring)

    async def run(self) -> None:
        """Answers until the router has sent its last message. When it vanishes, this is cancelled."""
        try:
            while (data := await self._context.read()) is not END:
                request = pb.ScoreRequest.FromString(data)
                if request.rollouts:
                    # A task, so that others overtake it and its router can take it back.
                    self._scoring[request.id] = self._spawn(self._answer(request))
                    await asyncio.sleep(0)  # it starts before the next is read
                elif (task := self._scoring.pop(request.id, None)) is not None:
                    task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()

    def leave(self) -> None:
        """Asks the router to send no more."""
        self._spawn(self._send(LEAVING))

    async def _answer(self, request: pb.ScoreRequest) -> None:
        batch = [Envelope(message) for message in request.rollouts]
        try:
            verdicts = await self._score(batch, request.options.timeout_seconds)
        except Exception as error:  # noqa: BLE001 - a defect of ours is a Failure of this batch, not of the stream
            failure = Failure.from_error(error)
            verdicts = [Verdict(envelope.id, failure, envelope.task) for envelope in batch]
        answer = encode_response(verdicts, request.id).SerializeToString()
        self._scoring.pop(request.id, None)  # too late to take it back: a write that is cancelled breaks the stream
        await self._send(answer)

    async def _send(self, data: bytes) -> None:
        """Writes, or leaves it to whoever is writing: gRPC takes one message at a time."""
        self._outbox.append(data)
        if self._writing:
            return
        self._writing = True
        try:
            while self._outbox:
                await self._context.write(self._outbox.popleft())
        except Exception:  # noqa: BLE001 - the router is gone, whatever gRPC calls it, and `run` ends with it
            self._outbox.clear()
        finally:
            self._writing = False

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
