"""The least that scoring over gRPC takes: nouns from bytes, a reward's `score`, bytes from nouns, and no router.

`Scored` calls rewards. `Coded` answers with Scores made beforehand: what is left when rewards take no time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import grpc
import grpc.aio

from rewardmesh.contract import Outcome, Rollout
from rewardmesh.contract.codec import decode_rollout, decode_verdict, encode_response, encode_rollout
from rewardmesh.contract.verdict import Failure, Score, Verdict
from rewardmesh.rewards.registry import load
from rewardmesh.services.heap import settle
from rewardmesh.v1 import reward_pb2 as pb
from tests.bench.clients import Ordered

METHOD = "bench.Floor"
_UNLIMITED = [("grpc.max_receive_message_length", -1)]


async def serve(settings: dict[str, Any]) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Answers rollouts that name their task, which is the name of their reward; `settings` has examples of each."""
    rewards: dict[str, Any] = {name: load(name)() for name in settings["examples"]}
    known: dict[str, Score] = {name: rewards[name].score([one])[0] for name, one in settings["examples"].items()}

    def scored(task: str, rollouts: Sequence[Rollout]) -> Iterable[Outcome]:
        return [
            Failure.from_error(each) if isinstance(each, Exception) else each for each in rewards[task].score(rollouts)
        ]

    def coded(task: str, rollouts: Sequence[Rollout]) -> Iterable[Outcome]:
        return [known[task]] * len(rollouts)

    def handler(outcomes: Callable[[str, Sequence[Rollout]], Iterable[Outcome]]) -> Any:
        async def answer(requests: AsyncIterator[pb.StreamRequest], context: Any) -> None:
            async for request in requests:
                await context.write(encode_response(_verdicts(request, outcomes), request.score.id))

        return grpc.stream_stream_rpc_method_handler(
            answer, pb.StreamRequest.FromString, pb.ScoreResponse.SerializeToString
        )

    server = grpc.aio.server(options=_UNLIMITED)
    handlers = {"Scored": handler(scored), "Coded": handler(coded)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    settle()
    await server.start()

    async def stop() -> None:
        await server.stop(0)

    return port, stop


def _verdicts(
    request: pb.StreamRequest, outcomes: Callable[[str, Sequence[Rollout]], Iterable[Outcome]]
) -> list[Verdict]:
    rollouts = [decode_rollout(message) for message in request.score.rollouts]
    places: dict[str, list[int]] = {}
    for place, rollout in enumerate(rollouts):
        places.setdefault(rollout.task, []).append(place)
    verdicts: dict[int, Verdict] = {}
    for task, theirs in places.items():
        for place, outcome in zip(theirs, outcomes(task, [rollouts[place] for place in theirs]), strict=True):
            verdicts[place] = Verdict(rollouts[place].id, outcome, task, task, "1", "digest", 1e-5, 1e-5)
    return [verdicts[place] for place in range(len(rollouts))]


class Floor:
    """Its client: rollouts in, verdicts out, and nothing else."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", _UNLIMITED)
        self._streams = {name: self._stream(name) for name in ("Scored", "Coded")}

    async def call(self, name: str, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """Their verdicts by the method of this name."""
        messages = [encode_rollout(rollout) for rollout in rollouts]
        answer = await self._streams[name].call(pb.StreamRequest(score=pb.ScoreRequest(rollouts=messages)))
        return [decode_verdict(verdict) for verdict in answer.verdicts]

    async def close(self) -> None:
        """Closes its connection."""
        await self._channel.close()

    def _stream(self, name: str) -> Ordered:
        read, write = pb.ScoreResponse.FromString, pb.StreamRequest.SerializeToString
        return Ordered(self._channel.stream_stream(f"/{METHOD}/{name}", write, read)())
