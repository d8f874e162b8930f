"""The way to a reward over Ray Serve's handles: slower than a stream, and open whenever any replica is up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from ray import serve
from ray.serve.handle import DeploymentHandle

from rewardmesh.contract.codec import decode_response
from rewardmesh.contract.envelope import Envelope, batch_to_bytes
from rewardmesh.contract.verdict import Verdict
from rewardmesh.services.engine import RewardStatus
from rewardmesh.services.replica_stream import GRACE_SECONDS
from rewardmesh.v1 import reward_pb2 as pb

# How long a replica may take to say how it is.
ASK_SECONDS = 5.0


class Handle:
    """A reward's handle. It lives and dies with the event loop it is first used on.

    Args:
        app: The name of its Serve application. Asking for it blocks, and raises what Ray raises when it does not run.
    """

    def __init__(self, app: str) -> None:
        handle: DeploymentHandle[Any] = serve.get_app_handle(app)
        self._bare = handle
        self._ready: DeploymentHandle[Any] | None = None

    async def score(self, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """The verdicts of a batch. Raises what Ray raises, and TimeoutError."""
        async with asyncio.timeout(timeout + GRACE_SECONDS):
            answer = await cast(Awaitable[bytes], self._handle().score.remote(batch_to_bytes(batch, timeout)))
        return decode_response(pb.ScoreResponse.FromString(answer))

    async def status(self) -> RewardStatus:
        """What one of the replicas hosts. Raises as `score` does."""
        async with asyncio.timeout(ASK_SECONDS):
            return await cast(Awaitable[RewardStatus], self._handle().status.remote())

    def _handle(self) -> DeploymentHandle[Any]:
        if self._ready is None:
            # On our own loop and by value: half the CPU of the default handle. Serve has no public way to say so.
            # It hands all of a process the same handle, which another engine may have been the first to use.
            if not self._bare.is_initialized:
                self._bare._init(_run_router_in_separate_loop=False)  # pyright: ignore[reportPrivateUsage]
            self._ready = self._bare.options(
                _by_reference=False, request_serialization="pickle", response_serialization="pickle"
            )
        return self._ready
