"""A router's life: bind, start the engine, answer until told to stop, drain, close."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any

from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.classify import served_tasks
from rewardmesh.router.logs import take_over
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.server import Server
from rewardmesh.router.settings import Address, Settings
from rewardmesh.services.engine import Engine
from rewardmesh.services.heap import settle

log = logging.getLogger(__name__)


def make_engine(settings: Settings) -> Engine:
    """The engine that mesh.yaml names, not yet started."""
    if settings.engine == "local":
        from rewardmesh.services.local import LocalEngine

        return LocalEngine(settings.specs())
    from rewardmesh.services.serve import ServeEngine  # imports Ray: seconds, and not needed locally

    return ServeEngine(settings.specs(), fast=settings.fast_path)


async def serve(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM. Raises OSError when an address cannot be listened on."""
    stop = asyncio.Event()
    _on_signals(stop)
    engine = make_engine(settings)
    take_over("ray", "ray.serve")  # importing Ray, which an engine may do, has them print plain text
    cache = ScoreCache(settings.cache)
    metrics = Metrics(settings.labels(), cache)
    server = Server(settings, Pipeline(engine, settings, metrics, cache))
    # The ports first: a taken one should be known before a cluster is started for nothing.
    listening = server.bind(Address.parse(settings.listen))
    try:
        scraped = metrics.serve(Address.parse(settings.metrics))
    except OSError as error:
        raise OSError(f"cannot serve metrics on {settings.metrics}: {error.strerror}") from None
    log.info("starting rewards: %s", ", ".join(spec.name for spec in settings.specs()))
    try:
        await cache.start()
        if await _unless(stop, engine.start()):
            settle()
            await server.start()
            _say(_banner(listening, scraped, engine) + _unserved(settings, engine))
            await stop.wait()
            _say("stopping\n")
            log.info("waiting up to %g s for calls in flight", settings.drain_seconds)
            await server.drain()
    finally:
        await engine.close()
        await cache.close()
        metrics.close()
    _say("stopped\n")


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)


async def _unless(stop: asyncio.Event, start: Coroutine[Any, Any, None]) -> bool:
    """Runs `start` to its end, or until told to stop; whether it got to its end."""
    starting, stopping = asyncio.create_task(start), asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return False


def _banner(listening: Address, scraped: Address, engine: Engine) -> str:
    lines = [
        f"RewardMesh {version('rewardmesh')} listens on {listening}",
        f"metrics on http://{scraped}/metrics",
    ]
    rewards = engine.status().values()
    width = max((len(status.name) for status in rewards), default=0)
    for status in rewards:
        state = f"ready, version {status.version}" if status.ready else f"NOT READY: {status.detail}"
        lines.append(f"  {status.name:{width}}  {state}")
    return "\n".join(lines) + "\n"


def _unserved(settings: Settings, engine: Engine) -> str:
    """A line that names the tasks of mesh.yaml that no reward scores: their rollouts would all fail. Mostly empty."""
    served = served_tasks({name: status.tasks for name, status in engine.status().items()})
    said = [(task, f"source {source}") for source, task in settings.sources.items()]
    said += [(rule.task, f"rule '{rule.pattern}'") for rule in settings.rules]
    missing = ", ".join(f"{task} ({where})" for task, where in said if task not in served)
    line = " ".join(missing.split())  # a pattern may span several
    return f"WARNING: mesh.yaml names tasks that no reward scores: {line}\n" if line else ""


def _say(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # who read the banner (`head`, say) has left; calls are answered and drained all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is said later, and at exit
