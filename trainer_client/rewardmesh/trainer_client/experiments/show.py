"""An experiment with rewards from a mesh, as `rewardmesh-train experiment` shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from rewardmesh.trainer_client.demo.mesh import mesh
from rewardmesh.trainer_client.experiments import interference, onpolicy_vs_vanilla
from rewardmesh.trainer_client.experiments.outcome import write
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.sync import SyncRewardClient

EXPERIMENTS = {each.NAME: each.run for each in (onpolicy_vs_vanilla, interference)}
CONNECT_SECONDS = 5.0  # a router that is there answers at once; a person should not wait long to hear of a wrong port


def show(
    name: str,
    size: Size,
    target: str | None,
    config: Path | None,
    out: Path,
    model: Path | None,
    say: Callable[[str], None],
) -> None:
    """Runs an experiment, writes what it found, and says it.

    Args:
        name: One of `EXPERIMENTS`.
        size: How large.
        target: A router's HOST:PORT, or None to start a mesh of its own and stop it at the end.
        config: The mesh.yaml of the mesh it starts; None for the defaults.
        out: The folder for the results.
        model: A checkpoint's folder; None for the demo's tiny model.
        say: Told each line.

    Raises:
        MeshError: The mesh could not be started.
        UnavailableError: No router answers at the target.
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Too many rewards failed, or one of an evaluation.
    """
    running = contextlib.nullcontext(target) if target else mesh(config)
    with running as address, SyncRewardClient(address) as client:
        with SyncRewardClient(address, timeout=CONNECT_SECONDS) as first:
            first.rewards()
        outcome = EXPERIMENTS[name](size, client, out, model, say)
    write(outcome, out)
    for line in outcome.reading:
        say(line)
    say(f"{out / 'result.html'}, after {outcome.seconds / 60:.1f} minutes")
