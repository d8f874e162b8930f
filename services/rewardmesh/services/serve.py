"""The engine on Ray Serve: one application per reward, bytes in batches over streams, or over handles."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ray import serve
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError
from ray.serve import RunTarget
from ray.serve.exceptions import BackPressureError

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import CrashedError, OverloadedError
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.services.cluster import is_shared, join, leave, start_serve, take_back_sigterm
from rewardmesh.services.deployment import application, mark
from rewardmesh.services.directory import DirectoryClient
from rewardmesh.services.engine import RewardSpec, RewardStatus
from rewardmesh.services.handles import Handle
from rewardmesh.services.places import TIMED_OUT
from rewardmesh.services.replica_door import Key
from rewardmesh.services.replica_stream import ReplicaStream, StreamLostError
from rewardmesh.services.replicas import Replicas

T = TypeVar("T")

log = logging.getLogger(__name__)

# Replicas import their reward (torch takes 10 s), all at once, on a machine that may be busy.
DEPLOY_SECONDS = 180.0
# How long SIGTERM may be in Ray's hands.
SIGTERM_SECONDS = 0.05
# How often replicas are asked how they are.
WATCH_SECONDS = 5.0
# How long the streams to replicas that are up may take to open before the engine starts without.
STREAMS_SECONDS = 5.0
# Streams a batch may lose to replicas that live, before it goes over the handle.
LOSSES = 3
LOOPBACK = "127.0.0.1"  # all that is needed on a cluster of one machine, which one that is started here is
_ON_THEIR_WAY = ("NOT_STARTED", "DEPLOYING")
_ANSWERING = ("RUNNING", "UNHEALTHY")


class ReplicaDiedError(Exception):
    """A replica died over a batch.

    Attributes:
        alone: Whether it had nothing else to do, as far as this router knows.
    """

    def __init__(self, alone: bool = True) -> None:
        super().__init__("its replica died")
        self.alone = alone


class ServeEngine:
    """Runs rewards as Ray Serve deployments, on the cluster at RAY_ADDRESS or on a local one it starts and stops.

    Batches go over a stream to the replica with the fewest rollouts in flight, among those whose configuration has the
    digest that `status` tells. While a deployment is being replaced that is the old one as long as a replica of it can
    be reached; then `status` follows to the new one, and the batches with it. A handle, which is used while no
    replica can be reached by stream, knows no digests: there the verdict tells who gave it.

    Args:
        specs: The rewards.
        fast: Whether to use streams. Without, replicas open no port of their own and every batch goes over handles.
    """

    def __init__(self, specs: Sequence[RewardSpec], fast: bool = True) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._statuses = {n: RewardStatus(n, "", "", (n,), ready=False, detail="not deployed") for n in self._specs}
        self._fast = fast
        self._replicas: Replicas | None = None
        self._handles: dict[str, Handle] = {}
        self._quarantines = {name: asyncio.Lock() for name in self._specs}
        self._blocking: set[asyncio.Future[Any]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._joined = False

    async def start(self) -> None:
        """See `Engine`."""
        await self._join()
        self._directory = DirectoryClient(secrets.token_hex(32), detached=is_shared())
        await self._in_thread(start_serve)
        key = await self._find_replicas() if self._fast else None
        standing = await self._standing(key)
        apps = {name: application(spec, key) for name, spec in self._specs.items() if name not in standing}
        targets = [RunTarget(app, name=_app(name), route_prefix=None) for name, app in apps.items()]
        if targets:
            await self._in_thread(partial(serve.run_many, targets, wait_for_applications_running=False))
        deadline = time.monotonic() + DEPLOY_SECONDS
        while await self._look() and time.monotonic() < deadline:  # noqa: ASYNC110 - Serve tells only those who ask
            await asyncio.sleep(0.1)
        deadline = time.monotonic() + STREAMS_SECONDS
        while self._without_stream() and time.monotonic() < deadline:  # noqa: ASYNC110 - links come one by one
            await asyncio.sleep(0.05)
        self._watcher = asyncio.create_task(self._watch())

    def status(self) -> Mapping[str, RewardStatus]:
        """See `Engine`."""
        return self._statuses

    def targets(self, reward: str) -> int:
        """See `Engine`."""
        found = 0 if self._replicas is None else self._replicas.count(reward, self._statuses[reward].digest)
        return found or self._specs[reward].replicas

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """See `Engine`."""
        if not batch:
            return []
        deadline = time.monotonic() + timeout
        quarantine = self._quarantines[reward]
        try:
            if quarantine.locked():
                async with asyncio.timeout(timeout), quarantine:
                    pass
            return await self._call(reward, batch, deadline)
        except ReplicaDiedError:
            async with quarantine:
                return [await self._alone(reward, envelope, deadline) for envelope in batch]
        except Exception as error:  # noqa: BLE001 - whatever Ray raises is a Failure of this batch
            failure = _failure(error)
            return [self._failed(reward, envelope, failure) for envelope in batch]

    async def close(self) -> None:
        """See `Engine`."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._replicas is not None:
            await self._replicas.close()
        if self._blocking:  # a start that was given up goes on in its thread; Ray must not be left to it
            await asyncio.wait(self._blocking)
        if self._joined:
            await asyncio.to_thread(leave)

    async def _join(self) -> None:
        """Joins the cluster, which takes seconds; somewhere in them Ray takes SIGTERM over."""

        def note_and_join() -> None:
            self._joined = join()

        joining = asyncio.create_task(self._in_thread(note_and_join))
        try:
            while not joining.done():
                await asyncio.wait([joining], timeout=SIGTERM_SECONDS)
                take_back_sigterm()
        finally:
            joining.cancel()
        joining.result()

    async def _standing(self, key: Key | None) -> set[str]:
        """The rewards that another router has deployed just as this one would: Serve would replace their replicas."""
        if key is None:
            return set()
        apps = (await self._in_thread(serve.status)).applications
        marks = {each.status.name: each.mark for each in await self._directory.listing() if each.status.ready}
        return {
            name
            for name, spec in self._specs.items()
            if (app := apps.get(_app(name))) is not None
            and app.status == "RUNNING"
            and marks.get(name) == mark(spec, key)
        }

    async def _find_replicas(self) -> Key:
        """Starts looking for replicas; returns how they let routers in, the same for all routers on a cluster."""
        token = await self._directory.token()
        self._replicas = Replicas(self._directory.listing, token)
        self._replicas.start()
        return Key(token, "" if is_shared() else LOOPBACK)

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
        """Asks a replica what it hosts, unless one that can be reached has said so."""
        try:
            if name not in self._handles:
                self._handles[name] = await self._in_thread(partial(Handle, _app(name)))
            if not self._follow(name):
                self._statuses[name] = await self._handles[name].status()
        except Exception as error:  # noqa: BLE001 - whatever Ray raises, this reward cannot be reached
            detail = f"its replica does not answer: {type(error).__name__}: {error}"
            self._statuses[name] = replace(self._statuses[name], ready=False, detail=detail)

    def _follow(self, name: str) -> bool:
        """Takes the status from the replicas that can be reached; False without any."""
        found = None if self._replicas is None else self._replicas.status(name, self._statuses[name].digest)
        if found is not None:
            self._statuses[name] = found
        return found is not None

    def _without_stream(self) -> bool:
        """Whether a reward that is ready cannot be reached by stream, though it should."""
        return self._replicas is not None and not all(
            self._follow(name) for name, status in self._statuses.items() if status.ready
        )

    async def _call(self, reward: str, batch: Sequence[Envelope], deadline: float) -> list[Verdict]:
        """The verdicts of a batch. Raises ReplicaDiedError, TimeoutError, and whatever Ray raises."""
        for _ in range(LOSSES):
            stream = await self._stream(reward, deadline)
            if stream is None:
                break
            try:
                return await stream.score(batch, _left(deadline))
            except StreamLostError as error:
                if error.died:
                    raise ReplicaDiedError(error.alone) from None
        if reward not in self._handles:
            detail = f"reward {reward!r} is not ready: {self._statuses[reward].detail}"
            return [self._failed(reward, envelope, Failure("unavailable", detail)) for envelope in batch]
        try:
            return await self._handles[reward].score(batch, _left(deadline))
        except (ActorDiedError, ActorUnavailableError):
            raise ReplicaDiedError from None

    async def _stream(self, reward: str, deadline: float) -> ReplicaStream | None:
        """The stream for a batch; None when the handle must do."""
        if self._replicas is None:
            return None
        stream = await self._replicas.choose(reward, self._statuses[reward].digest, _left(deadline))
        if stream is None and self._follow(reward):
            stream = await self._replicas.choose(reward, self._statuses[reward].digest, _left(deadline))
        return stream

    async def _alone(self, reward: str, envelope: Envelope, deadline: float) -> Verdict:
        """Scores one rollout of a batch that lost its replica; one that costs another replica is the guilty one."""
        while True:
            try:
                return (await self._call(reward, [envelope], deadline))[0]
            except ReplicaDiedError as error:
                if error.alone:
                    crashed = CrashedError("its replica died over it, twice")
                    return self._failed(reward, envelope, Failure.from_error(crashed))
            except Exception as error:  # noqa: BLE001 - as above
                return self._failed(reward, envelope, _failure(error))

    def _failed(self, reward: str, envelope: Envelope, failure: Failure) -> Verdict:
        status = self._statuses[reward]
        return Verdict(envelope.id, failure, envelope.task, reward, status.version, status.digest)


def _app(reward: str) -> str:
    return f"reward-{reward}"


def _left(deadline: float) -> float:
    """The seconds left. Raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _failure(error: Exception) -> Failure:
    """What an error on the way to a replica or in it means for the rollouts concerned."""
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    if isinstance(error, BackPressureError):
        return Failure.from_error(OverloadedError(f"every replica's queue is full: {error}"))
    if isinstance(error, RayError):
        return Failure("unavailable", f"{type(error).__name__}: {error}", retryable=True)
    return Failure.from_error(error)
