"""The whole demo, as `rewardmesh-train demo` shows it: a mixed batch, then training, with rewards from a mesh."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from rewardmesh.trainer_client.demo import mixed_batch
from rewardmesh.trainer_client.demo.mesh import mesh
from rewardmesh.trainer_client.demo.report import latency_table, table
from rewardmesh.trainer_client.demo.run import run
from rewardmesh.trainer_client.latency import TimedScorer
from rewardmesh.trainer_client.sync import SyncRewardClient

# The batch is scored this often: a 99th percentile needs more than a few samples.
REPEATS = 50


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
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Every reward of a step failed.
    """
    running = contextlib.nullcontext(target) if target else mesh(config)
    with running as address, SyncRewardClient(address) as client:
        say("\na mixed batch:\n" + mixed_batch.table(mixed_batch.BATCH, client.score(mixed_batch.BATCH)))
        rewards = TimedScorer(client)
        for _ in range(REPEATS):
            rewards.score(mixed_batch.BATCH)
        say(f"\nreward latency on that batch, {REPEATS} times")
        say(latency_table(rewards.scoring(), rewards.round_trip()))
        say("\na tiny vision-language model, trained by on-policy GRPO with rewards from the mesh")
        say("\n" + table(run(client, seed, steps, say=say)))
