"""The whole demo, as `rewardmesh-train demo` shows it: a mixed batch, then training, with rewards from a mesh."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from rewardmesh.contract.verdict import Verdict
from rewardmesh.trainer_client.demo import mixed_batch
from rewardmesh.trainer_client.demo.mesh import mesh
from rewardmesh.trainer_client.demo.report import latency_table, table
from rewardmesh.trainer_client.demo.run import run
from rewardmesh.trainer_client.demo.tasks import TASKS
from rewardmesh.trainer_client.rollout import RewardsFailedError, Scorer
from rewardmesh.trainer_client.sync import SyncRewardClient
from rewardmesh.trainer_client.training.latency import TimedScorer

# The batch is scored this often: a 99th percentile needs more than a few samples.
REPEATS = 50
CONNECT_SECONDS = 5.0  # a router that is there answers at once; a person should not wait long to hear of a wrong port


def show(target: str | None, config: Path | None, seed: int, steps: int, say: Callable[[str], None]) -> None:
    """Scores the mixed batch and trains.

    Args:
        target: A router's HOST:PORT, or None to start a mesh of its own and stop it at the end.
        config: The mesh.yaml of the mesh it starts; None for the defaults.
        seed: Of weights, prompts and samples.
        steps: GRPO steps.
        say: Told each line.

    Raises:
        MeshError: The mesh could not be started.
        UnavailableError: No router answers at the target.
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Every reward of a batch failed, or one of an evaluation.
    """
    running = contextlib.nullcontext(target) if target else mesh(config)
    with running as address, SyncRewardClient(address) as client:
        with SyncRewardClient(address, timeout=CONNECT_SECONDS) as first:
            served = {task for reward in first.rewards() if reward.ready for task in reward.tasks}
        say("\na mixed batch:\n" + mixed_batch.table(mixed_batch.BATCH, _judged(client)))
        rewards = TimedScorer(client)
        for _ in range(REPEATS):
            _judged(rewards)
        say(f"\nreward latency on that batch, {REPEATS} times")
        say(latency_table(rewards.scoring(), rewards.round_trip()))
        say("\na tiny vision-language model, trained by on-policy GRPO with rewards from the mesh")
        tasks = [task for task in TASKS if task in served]
        if missing := [task for task in TASKS if task not in served]:
            say(f"without {', '.join(missing)}: the router has no reward that is ready for it")
        say("\n" + table(run(client, seed, steps, tasks=tasks, say=say)))


def _judged(scorer: Scorer) -> list[Verdict]:
    """The mixed batch's verdicts. Raises RewardsFailedError when there is no score among them."""
    verdicts = scorer.score(mixed_batch.BATCH)
    if all(verdict.score is None for verdict in verdicts):
        raise RewardsFailedError(f"all {len(verdicts)} rewards failed; the first: {verdicts[0].failure}")
    return verdicts
