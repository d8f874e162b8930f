"""The Ray Serve side: one replica hosts one reward in a runner and answers batches as bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from ray import serve
from ray.serve import Application

from rewardmesh.contract.codec import encode_response
from rewardmesh.contract.envelope import Envelope, batch_from_bytes
from rewardmesh.contract.verdict import Verdict
from rewardmesh.rewards.registry import provider_version
from rewardmesh.services.engine import RewardSpec, RewardStatus
from rewardmesh.services.heap import settle
from rewardmesh.services.replica_door import Door, Key
from rewardmesh.services.runner import Runner

# Batches a replica takes at once over handles; more wait in the router, where their deadlines are kept.
MAX_ONGOING_BATCHES = 16
# How long a replica may finish its batches when it is stopped.
GRACEFUL_SHUTDOWN_SECONDS = 5.0


class RewardReplica:
    """Hosts one reward. Batches come in and verdicts go out as serialised messages, over handles or over streams.

    Args:
        spec: The reward.
        key: How routers get in by stream; None for a replica that has handles only.
        mark: That of the deployment.
    """

    async def __init__(self, spec: RewardSpec, key: Key | None = None, mark: str = "") -> None:  # pyright: ignore[reportGeneralTypeIssues] - Serve awaits it
        self._runner = Runner(spec)
        self._handled = 0
        await self._runner.start()
        settle()
        self._door: Door | None = None
        if key is not None:
            replica = serve.get_replica_context().replica_id.unique_id
            self._door = Door(self._runner.score, self._runner.status, key, f"{spec.name}#{replica}", mark)
            await self._door.open()

    async def score(self, batch: bytes) -> bytes:
        """A serialised ScoreRequest to a serialised ScoreResponse; its timeout counts from here."""
        envelopes, timeout = batch_from_bytes(batch)
        return encode_response(await self._score(envelopes, timeout)).SerializeToString()

    async def status(self) -> RewardStatus:
        """The reward as clients see it."""
        return self._runner.status()

    async def check_health(self) -> None:
        """Asked by Serve now and then; a replica whose reward hangs for good is replaced."""
        self._runner.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Batches being scored here, asked by Serve where a deployment scales itself.

        Serve counts what comes over handles, in the handles, and would take replicas for idle that are busy with
        streams. What a replica reports as `running_requests` it takes for the whole truth in place of its own count.
        """
        return {"running_requests": float(self._handled + (self._door.batches if self._door is not None else 0))}

    async def __del__(self) -> None:
        if self._door is not None:
            await self._door.shut()
        await self._runner.close()

    async def _score(self, envelopes: Sequence[Envelope], timeout: float) -> list[Verdict]:
        self._handled += 1
        try:
            return await self._runner.score(envelopes, timeout)
        finally:
            self._handled -= 1


def application(spec: RewardSpec, key: Key | None = None) -> Application:
    """The Serve application of one reward: its own replicas, restarts and upgrades. For `key` see there."""
    options: dict[str, Any] = {
        "name": spec.name,
        "num_replicas": spec.replicas,
        "max_ongoing_requests": MAX_ONGOING_BATCHES,
        "graceful_shutdown_timeout_s": GRACEFUL_SHUTDOWN_SECONDS,
        "ray_actor_options": _reserved(spec),
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
    }
    return serve.deployment(**options)(RewardReplica).bind(spec, key, mark(spec, key))


def mark(spec: RewardSpec, key: Key | None) -> str:
    """The same for deployments that need not be replaced by each other: same settings, same versions, same key."""
    told = [asdict(spec), key, version("rewardmesh"), provider_version(spec.name)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _reserved(spec: RewardSpec) -> dict[str, Any]:
    """Rewards share the machine: whole reserved cores would leave a small one unable to host them all."""
    resources = dict(spec.resources)
    return {"num_cpus": resources.pop("CPU", 0), "num_gpus": resources.pop("GPU", 0), "resources": resources}
