"""A real gRPC server on 127.0.0.1 whose servicer follows a script written in the completions it is sent.

""            answered at once, Score 1.0
"late"        answered after 0.2 s
"never"       not answered
"kill once"   the stream that brought it is aborted, the first time
"kill"        the same each time
"busy N"      overloaded, to be tried again after 0.01 s, the first N times that its id comes
"gone"        a Failure that is not worth trying again
"slow once"   `timeout` at the message's deadline, the first time that its id comes
"out of range", "unknown kind", "wrong id", "too few"   a broken answer
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from rewardmesh.contract.greeting import Greeting
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1 import reward_pb2_grpc as rpc


def verdict(rollout: pb.Rollout, before: int = 0) -> pb.Verdict:
    match rollout.completion:
        case "slow once" if not before:
            return pb.Verdict(id=rollout.id, failure=pb.Failure(kind="timeout", message="slow", retryable=True))
        case "gone":
            return pb.Verdict(id=rollout.id, failure=pb.Failure(kind="unavailable", message="not loaded"))
        case str(text) if text.startswith("busy ") and before < int(text[5:]):
            busy = pb.Failure(kind="overloaded", message="full", retryable=True, retry_after_seconds=0.01)
            return pb.Verdict(id=rollout.id, failure=busy)
        case "out of range":
            return pb.Verdict(id=rollout.id, score=pb.Score(value=7))
        case "unknown kind":
            return pb.Verdict(id=rollout.id, failure=pb.Failure(kind="boredom"))
        case "wrong id":
            return pb.Verdict(id="another", score=pb.Score(value=1))
        case _:
            return pb.Verdict(id=rollout.id, task=rollout.task, score=pb.Score(value=1, explanation=rollout.completion))


class ScriptedServer(rpc.RewardServiceServicer):
    """Records what it was sent, in order, over all streams.

    Attributes:
        greeting: What it tells; None: nothing. Read when a stream opens.
        answered: How often each id was.
        pure: What it says of its reward.
        takes: Bytes of a message, whatever it tells; -1: any. Read by `start`.
    """

    def __init__(self) -> None:
        self.greeting: Greeting | None = Greeting("9.9")
        self.takes = -1
        self.requests: list[pb.ScoreRequest] = []
        self.cancelled: list[int] = []
        self.answered: Counter[str] = Counter()
        self.pure = False
        self.streams = 0
        self.target = ""
        self._changed = asyncio.Condition()
        self._killed = False
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", self.takes)])
        rpc.add_RewardServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(self.target or "127.0.0.1:0")
        self.target = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until what was received fulfils the condition; the test's own timeout is the limit."""
        async with self._changed:
            await self._changed.wait_for(condition)

    def completions(self) -> list[str]:
        return [rollout.completion for request in self.requests for rollout in request.rollouts]

    async def ScoreStream(self, requests: AsyncIterator[pb.StreamRequest], context: Any) -> None:
        self.streams += 1
        if self.greeting is not None:
            await context.send_initial_metadata(self.greeting.to_metadata())
        writing = asyncio.Lock()  # gRPC takes one message at a time
        answers: set[asyncio.Task[None]] = set()
        try:
            async for message in requests:
                cancel = message.WhichOneof("body") == "cancel"
                async with self._changed:
                    self.cancelled.append(message.cancel) if cancel else self.requests.append(message.score)
                    self._changed.notify_all()
                if cancel:
                    continue
                texts = {rollout.completion for rollout in message.score.rollouts}
                if "kill" in texts or ("kill once" in texts and not self._killed):
                    self._killed = True
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "killed on request")
                if "never" not in texts:
                    answers.add(asyncio.create_task(self._answer(message.score, texts, context, writing)))
        finally:
            for task in answers:
                task.cancel()

    async def _answer(self, request: pb.ScoreRequest, texts: set[str], context: Any, writing: asyncio.Lock) -> None:
        if "late" in texts:
            await asyncio.sleep(0.2)
        if any(rollout.completion == "slow once" and not self.answered[rollout.id] for rollout in request.rollouts):
            await asyncio.sleep(request.options.timeout_seconds)
        verdicts = [
            verdict(rollout, self.answered[rollout.id])
            for rollout in request.rollouts
            if rollout.completion != "too few"
        ]
        self.answered.update(rollout.id for rollout in request.rollouts)
        async with writing:
            await context.write(pb.ScoreResponse(id=request.id, verdicts=verdicts))

    async def ListRewards(self, request: pb.ListRewardsRequest, context: Any) -> pb.ListRewardsResponse:
        info = pb.RewardInfo(name="math", version="1", digest="abc", tasks=["math"], ready=True, pure=self.pure)
        return pb.ListRewardsResponse(rewards=[info])


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    await scripted.start()
    yield scripted
    await scripted.stop()
