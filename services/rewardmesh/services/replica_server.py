"""A replica's own gRPC server: streams of batches from routers, past Ray Serve's handles."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.outbox import Outbox
from rewardmesh.contract.relay import Relay
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.services.replica_wire import END, LEAVING, METHOD, REPLICA_KEY, SERVER_OPTIONS, SERVICE, TOKEN_KEY
from rewardmesh.v1 import reward_pb2 as pb

Score: TypeAlias = Callable[[Sequence[Envelope], float], Awaitable[Sequence[Verdict]]]
# Messages of one router at the same time: more than it sends.
MAX_IN_FLIGHT = 64
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
        self._relay = Relay(self._next, self._answer, MAX_IN_FLIGHT)
        self._outbox: Outbox[bytes] = Outbox(context.write, lambda: None)  # `run` ends with a router that is gone

    @property
    def batches(self) -> int:
        return self._relay.working

    async def run(self) -> None:
        """Answers until the router has sent its last message. When it vanishes, this is cancelled."""
        try:
            await self._relay.run()
            await self._outbox.empty()
        finally:
            await self._outbox.close()

    def leave(self) -> None:
        """Asks the router to send no more."""
        self._outbox.put(lambda: LEAVING)

    async def _next(self) -> pb.ScoreRequest | None:
        while (data := await self._context.read()) is not END:
            request = pb.ScoreRequest.FromString(data)
            if request.rollouts:
                return request
            self._relay.cancel(request.id)
        return None

    async def _answer(self, request: pb.ScoreRequest) -> None:
        batch = [Envelope(message) for message in request.rollouts]
        try:
            work = self._score(batch, request.options.timeout_seconds)
            verdicts = await self._relay.unless_cancelled(request.id, work)
        except Exception as error:  # noqa: BLE001 - a defect of ours is a Failure of this batch, not of the stream
            failure = Failure.from_error(error)
            verdicts = [Verdict(envelope.id, failure, envelope.task) for envelope in batch]
        if verdicts is None:  # it was taken back
            return
        answer = encode_response(verdicts, request.id).SerializeToString()
        self._outbox.put(lambda: answer)
