"""`rewardmesh score`: a file of rollouts, a verdict a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.json_form import write_verdict
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.cli.lines import Batch, batches, opened, write
from rewardmesh.services.thread import Thread

Scorer: TypeAlias = Callable[[Sequence[Rollout]], Awaitable[Sequence[Verdict]]]
Taker: TypeAlias = Callable[[Batch, Sequence[Verdict]], None]
"""Gets the lines of a file batch by batch, with a verdict for each, in order."""


def score(path: str, target: str | None, engine: str, config: str | None) -> None:
    """Scores by the router at `target`, or here, and writes the verdicts. Raises what `score_file` does."""
    score_file(path, target, engine, config, lambda _, verdicts: write(map(write_verdict, verdicts)))


def score_file(path: str, target: str | None, engine: str, config: str | None, take: Taker) -> None:
    """Scores by the router at `target`, or here.

    Raises:
        OSError: The file cannot be read.
        RewardMeshError: The target cannot be reached, or the settings are wrong.
    """
    asyncio.run(_score(path, _remote(target) if target else _here(engine, config), take))


async def _score(path: str, scorer: AbstractAsyncContextManager[Scorer], take: Taker) -> None:
    with opened(path) as file:  # before an engine is started for a file that is not there
        async with scorer as ask:
            ahead = batches(file)
            # In a thread: stdin may make us wait, and a connection must stay alive meanwhile. In one that may be left
            # behind in its wait: Ctrl-C must not need another line of input to be heard.
            reader = Thread()
            try:
                while batch := await reader.call(partial(next, ahead, None)):
                    take(batch, batch.merged(await ask(batch.rollouts)))
            finally:
                reader.stop()


@asynccontextmanager
async def _remote(target: str) -> AsyncGenerator[Scorer]:
    from rewardmesh.router.cli.remote import served
    from rewardmesh.trainer_client.client import RewardClient

    await served(target)  # raises where scoring would answer each rollout with a Failure
    async with RewardClient(target) as client:
        yield client.score


@asynccontextmanager
async def _here(kind: str, config: str | None) -> AsyncGenerator[Scorer]:
    from rewardmesh.router.logs import quieten
    from rewardmesh.router.metrics import Metrics
    from rewardmesh.router.pipeline import Pipeline
    from rewardmesh.router.settings import Settings
    from rewardmesh.router.up import make_engine

    settings = Settings.load(config).with_engine(kind)
    engine = make_engine(settings)
    quieten("ray", "ray.serve")  # their progress is of no interest beside the verdicts
    pipeline = Pipeline(engine, settings, Metrics(settings.labels()))

    async def ask(rollouts: Sequence[Rollout]) -> list[Verdict]:
        sealed = [_seal(rollout) for rollout in rollouts]
        answers = iter(await pipeline.score([s for s in sealed if isinstance(s, Envelope)]))
        return [s if isinstance(s, Verdict) else next(answers) for s in sealed]

    try:
        await engine.start()
        yield ask
    finally:
        await engine.close()


def _seal(rollout: Rollout) -> Envelope | Verdict:
    try:
        return Envelope.seal(rollout)
    except (InvalidRolloutError, InvalidReferenceError) as error:
        return Verdict(rollout.id, Failure.from_error(error))
