"""`rewardmesh.v1.RewardService`: messages in, the pipeline's verdicts out."""

from __future__ import annotations

from collections.abc import Hashable
from importlib.metadata import version
from typing import Any

import grpc.aio

from rewardmesh.contract.codec import encode_failure, encode_response
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.contract.greeting import Greeting, MessageLimits
from rewardmesh.contract.verdict import Failure
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.settings import Limits
from rewardmesh.router.stream import Stream
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1.reward_pb2_grpc import RewardServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class Servicer(RewardServiceServicer):
    """Answers the four calls. Each tells the router's version and limits in the initial metadata; see `Greeting`."""

    def __init__(self, pipeline: Pipeline, limits: Limits, client_rollouts: int) -> None:
        self._pipeline = pipeline
        self._client_rollouts = client_rollouts
        told = MessageLimits(limits.message_bytes, limits.rollouts)
        self._metadata = Greeting(version("rewardmesh"), told).to_metadata()
        self._streams: set[Stream] = set()

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:
        """One verdict per rollout, in order."""
        await context.send_initial_metadata(self._metadata)
        return await self._score(request, context.peer())

    async def ScoreStream(self, request_iterator: object, context: Context) -> None:
        """Messages are scored side by side and answered as they finish; see `Stream`."""
        await context.send_initial_metadata(self._metadata)
        stream = Stream(lambda request: self._score(request, stream), context, self._client_rollouts)
        self._streams.add(stream)
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)

    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:
        """The task and the reward of each rollout, or a Failure."""
        await context.send_initial_metadata(self._metadata)
        return pb.ClassifyResponse(classifications=[self._classify(Envelope(m)) for m in request.rollouts])

    async def ListRewards(self, request: pb.ListRewardsRequest, context: Context) -> pb.ListRewardsResponse:
        """The rewards served here."""
        await context.send_initial_metadata(self._metadata)
        return pb.ListRewardsResponse(
            rewards=[
                pb.RewardInfo(
                    name=s.name,
                    version=s.version,
                    digest=s.digest,
                    tasks=s.tasks,
                    ready=s.ready,
                    detail=s.detail,
                    pure=s.pure,
                )
                for s in self._pipeline.rewards().values()
            ]
        )

    def drain(self) -> None:
        """Has open streams take no more messages and end when those in flight are answered."""
        for stream in self._streams:
            stream.drain()

    async def _score(self, request: pb.ScoreRequest, client: Hashable) -> pb.ScoreResponse:
        envelopes = [Envelope(message) for message in request.rollouts]
        options = request.options
        pins = dict(options.pins) if options.pins else None  # mostly there are none
        verdicts = await self._pipeline.score(envelopes, options.timeout_seconds, pins, client)
        return encode_response(verdicts, request.id)

    def _classify(self, envelope: Envelope) -> pb.Classification:
        try:
            task, reward, why = self._pipeline.classify(envelope)
        except RewardMeshError as error:
            failure = encode_failure(Failure.from_error(error))
            return pb.Classification(id=envelope.id, task=envelope.task, failure=failure)
        return pb.Classification(id=envelope.id, task=task, reward=reward, why=why)
