"""`rewardmesh score`: a file of rollouts, a verdict a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.json_form import write_verdict
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.cli.lines import batches, opened, write

Scorer: TypeAlias = Callable[[Sequence[Rollout]], Awaitable[Sequence[Verdict]]]


def score(path: str, target: str | None, engine: str, config: str | None) -> None:
    """Scores by the router at `target`, or here.

    Raises:
        OSError: The file cannot be read.
        RewardMeshError: The target cannot be reached, or the settings are wrong.
    """
    asyncio.run(_score(path, _remote(target) if target else _here(engine, config)))


async def _score(path: str, scorer: AbstractAsyncContextManager[Scorer]) -> None:
    with opened(path) as file:  # before an engine is started for a file that is not there
        async with scorer as ask:
            ahead = batches(file)
            # In a thread: stdin may make us wait, and a connection must stay alive meanwhile.
            while batch := await asyncio.to_thread(next, ahead, None):
                write(map(write_verdict, batch.merged(await ask(batch.rollouts))))


@asynccontextmanager
async def _remote(target: str) -> AsyncGenerator[Scorer]:
    from rewardmesh.router.cli.remote import served
    from rewardmesh.trainer_client.client import RewardClient

    await served(target)  # raises where scoring would answer each rollout with a Failure
    async with RewardClient(target) as client:
        yield client.score


@asynccontextmanager
async def _here(kind: str, config: str | None) -> AsyncGenerator[Scorer]:
    from rewardmesh.router.metrics import Metrics
    from rewardmesh.router.pipeline import Pipeline
    from rewardmesh.router.settings import Settings
    from rewardmesh.router.up import make_engine

    settings = Settings.load(config).with_engine(kind)
    engine = make_engine(settings)
    pipeline = Pipeline(engine, settings, Metrics(settings.sources))

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
