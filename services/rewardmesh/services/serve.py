"""The engine on Ray Serve: one application per reward, bytes in batches over handles."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

from ray import serve
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError
from ray.serve import RunTarget
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from rewardmesh.contract.codec import decode_response
from rewardmesh.contract.envelope import Envelope, batch_to_bytes
from rewardmesh.contract.errors import CrashedError, OverloadedError
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.services.cluster import join, leave, start_serve, take_back_sigterm
from rewardmesh.services.deployment import application
from rewardmesh.services.engine import RewardSpec, RewardStatus
from rewardmesh.services.places import TIMED_OUT
from rewardmesh.v1 import reward_pb2 as pb

T = TypeVar("T")

log = logging.getLogger(__name__)

# Replicas import their reward (torch takes 10 s), all at once, on a machine that may be busy.
DEPLOY_SECONDS = 180.0
# The replica stops at the deadline itself; this lets its answer arrive on a busy machine.
GRACE_SECONDS = 0.3
# How long SIGTERM may be in Ray's hands.
SIGTERM_SECONDS = 0.05
# How often replicas are asked how they are, and how long they may take to say.
WATCH_SECONDS = 5.0
ASK_SECONDS = 5.0
_ON_THEIR_WAY = ("NOT_STARTED", "DEPLOYING")
_ANSWERING = ("RUNNING", "UNHEALTHY")
_REPLICA_DIED = (ActorDiedError, ActorUnavailableError)


class ServeEngine:
    """Runs rewards as Ray Serve deployments, on the cluster at RAY_ADDRESS or on a local one it starts and stops."""

    def __init__(self, specs: Sequence[RewardSpec]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._statuses = {n: RewardStatus(n, "", "", (n,), ready=False, detail="not deployed") for n in self._specs}
        self._handles: dict[str, DeploymentHandle[Any]] = {}
        self._quarantines = {name: asyncio.Lock() for name in self._specs}
        self._blocking: set[asyncio.Future[Any]] = set()
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `Engine`."""
        await self._join()
        await self._in_thread(start_serve)
        apps = {name: application(spec) for name, spec in self._specs.items()}
        targets = [RunTarget(app, name=_app(name), route_prefix=None) for name, app in apps.items()]
        await self._in_thread(partial(serve.run_many, targets, wait_for_applications_running=False))
        deadline = time.monotonic() + DEPLOY_SECONDS
        while await self._look() and time.monotonic() < deadline:  # noqa: ASYNC110 - Serve tells only those who ask
            await asyncio.sleep(0.1)
        self._watcher = asyncio.create_task(self._watch())

    def status(self) -> Mapping[str, RewardStatus]:
        """See `Engine`."""
        return self._statuses

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """See `Engine`."""
        deadline = time.monotonic() + timeout
        quarantine = self._quarantines[reward]
        try:
            if quarantine.locked():
                async with asyncio.timeout(timeout), quarantine:
                    pass
            return await self._call(reward, batch, deadline)
        except _REPLICA_DIED:
            async with quarantine:
                return [await self._alone(reward, envelope, deadline) for envelope in batch]
        except Exception as error:  # noqa: BLE001 - whatever Ray raises is a Failure of this batch
            failure = _failure(error)
            return [self._failed(reward, envelope, failure) for envelope in batch]

    async def close(self) -> None:
        """See `Engine`."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._blocking:  # a start that was given up goes on in its thread; Ray must not be left to it
            await asyncio.wait(self._blocking)
        await asyncio.to_thread(leave)

    async def _join(self) -> None:
        """Joins the cluster, which takes seconds; somewhere in them Ray takes SIGTERM over."""
        joining = asyncio.create_task(self._in_thread(join))
        try:
            while not joining.done():
                await asyncio.wait([joining], timeout=SIGTERM_SECONDS)
                take_back_sigterm()
        finally:
            joining.cancel()
        joining.result()

    async def _in_thread(self, function: Callable[[], T]) -> T:
        future = asyncio.ensure_future(asyncio.to_thread(function))
        self._blocking.add(future)
        future.add_done_callback(self._blocking.discard)
        return await asyncio.shield(future)

    async def _watch(self) -> None:
        """Keeps the statuses true: replicas come up late, hang, die and come back."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - Ray's control plane is away; the rewards may well not be
                log.warning("cannot ask Ray Serve how the rewards are: %s", error)

    async def _look(self) -> list[str]:
        """Asks how each reward is; returns those still being deployed."""
        found = await self._in_thread(serve.status)
        apps = {name: found.applications.get(_app(name)) for name in self._specs}
        running = [name for name, app in apps.items() if app is not None and app.status in _ANSWERING]
        await asyncio.gather(*(self._ask(name) for name in running))
        for name, app in apps.items():
            if app is not None and app.status == "DEPLOY_FAILED":
                self._statuses[name] = replace(self._statuses[name], ready=False, detail=app.message)
        return [name for name, app in apps.items() if app is None or app.status in _ON_THEIR_WAY]

    async def _ask(self, name: str) -> None:
        """Asks a replica what it hosts."""
        try:
            if name not in self._handles:
                handle = await self._in_thread(partial(serve.get_app_handle, _app(name)))
                # On our own loop and by value: half the CPU of the default handle. Serve has no public way to say so.
                handle._init(_run_router_in_separate_loop=False)  # pyright: ignore[reportPrivateUsage]
                self._handles[name] = handle.options(
                    _by_reference=False, request_serialization="pickle", response_serialization="pickle"
                )
            async with asyncio.timeout(ASK_SECONDS):
                self._statuses[name] = await cast(Awaitable[RewardStatus], self._handles[name].status.remote())
        except Exception as error:  # noqa: BLE001 - whatever Ray raises, this reward cannot be reached
            detail = f"its replica does not answer: {type(error).__name__}: {error}"
            self._statuses[name] = replace(self._statuses[name], ready=False, detail=detail)

    async def _call(self, reward: str, batch: Sequence[Envelope], deadline: float) -> list[Verdict]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if reward not in self._handles:
            detail = f"reward {reward!r} is not ready: {self._statuses[reward].detail}"
            return [self._failed(reward, envelope, Failure("unavailable", detail)) for envelope in batch]
        async with asyncio.timeout(left + GRACE_SECONDS):
            answer = await cast(Awaitable[bytes], self._handles[reward].score.remote(batch_to_bytes(batch, left)))
        return decode_response(pb.ScoreResponse.FromString(answer))

    async def _alone(self, reward: str, envelope: Envelope, deadline: float) -> Verdict:
        """Scores one rollout of a batch that lost its replica; one that costs another replica is the guilty one."""
        try:
            return (await self._call(reward, [envelope], deadline))[0]
        except _REPLICA_DIED:
            return self._failed(reward, envelope, Failure.from_error(CrashedError("its replica died over it, twice")))
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(reward, envelope, _failure(error))

    def _failed(self, reward: str, envelope: Envelope, failure: Failure) -> Verdict:
        status = self._statuses[reward]
        return Verdict(envelope.id, failure, envelope.task, reward, status.version, status.digest)


def _app(reward: str) -> str:
    return f"reward-{reward}"


def _failure(error: Exception) -> Failure:
    """What an error on the way to a replica or in it means for the rollouts concerned."""
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    if isinstance(error, BackPressureError):
        return Failure.from_error(OverloadedError(f"every replica's queue is full: {error}"))
    if isinstance(error, RayError):
        return Failure("unavailable", f"{type(error).__name__}: {error}", retryable=True)
    return Failure.from_error(error)
