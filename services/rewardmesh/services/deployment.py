"""The Ray Serve side: one replica hosts one reward in a runner and answers batches as bytes."""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve import Application

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.envelope import batch_from_bytes
from rewardmesh.services.engine import RewardSpec, RewardStatus
from rewardmesh.services.runner import Runner

# Batches a replica takes at once; more wait in the router, where their deadlines are kept.
MAX_ONGOING_BATCHES = 16
# How long a replica may finish its batches when it is stopped.
GRACEFUL_SHUTDOWN_SECONDS = 5.0


class RewardReplica:
    """Hosts one reward. Batches come in and verdicts go out as serialised messages: Ray pickles bytes for free."""

    async def __init__(self, spec: RewardSpec) -> None:  # pyright: ignore[reportGeneralTypeIssues] - Serve awaits it
        self._runner = Runner(spec)
        await self._runner.start()

    async def score(self, batch: bytes) -> bytes:
        """A serialised ScoreRequest to a serialised ScoreResponse; its timeout counts from here."""
        envelopes, timeout = batch_from_bytes(batch)
        return encode_response(await self._runner.score(envelopes, timeout)).SerializeToString()

    async def status(self) -> RewardStatus:
        """The reward as clients see it."""
        return self._runner.status()

    async def check_health(self) -> None:
        """Asked by Serve now and then; a replica whose reward hangs for good is replaced."""
        self._runner.check()

    async def __del__(self) -> None:
        await self._runner.close()


def application(spec: RewardSpec) -> Application:
    """The Serve application of one reward: its own replicas, restarts and upgrades."""
    options: dict[str, Any] = {
        "name": spec.name,
        "num_replicas": spec.replicas,
        "max_ongoing_requests": MAX_ONGOING_BATCHES,
        "graceful_shutdown_timeout_s": GRACEFUL_SHUTDOWN_SECONDS,
        # Rewards share the machine: whole reserved cores would leave a small one unable to host them all.
        "ray_actor_options": {"num_cpus": 0},
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
    }
    return serve.deployment(**options)(RewardReplica).bind(spec)
