"""Runs the arms of an experiment, all from one start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import torch

from rewardmesh.trainer_client.demo.feed import held_out
from rewardmesh.trainer_client.experiments.arm import Arm, Run, evaluated, told, train
from rewardmesh.trainer_client.experiments.compare import Interval, Rewards, compare
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.experiments.start import Start
from rewardmesh.trainer_client.interference.history import Curve, History
from rewardmesh.trainer_client.logs.folder import METRICS
from rewardmesh.trainer_client.logs.jsonl import read_steps
from rewardmesh.trainer_client.rollout import Scorer
from rewardmesh.trainer_client.training.preflight import preflight

# Matrices this small gain little from a second thread, and lose tenfold when the mesh is busy on the second core.
_THREADS = 1


def run_arms(
    arms: Sequence[Arm], size: Size, scorer: Scorer, out: Path, model: Path | None, say: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Every arm with every seed, seed by seed.

    Raises:
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Too many rewards failed, or one of an evaluation.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        prompts = held_out(size.tasks, size.held_out)
        preflight(prompts, scorer)
        start = Start(size, model, say)
        before = evaluated(start.policy(), prompts, scorer)
        say(f"the start: {told(before)}")
        runs: dict[str, list[Run]] = {arm.name: [] for arm in arms}
        for seed in range(size.seeds):
            for arm in arms:
                folder = out / "runs" / f"{arm.name}-{seed}"
                runs[arm.name].append(train(arm, seed, start.policy(), size, prompts, before, scorer, folder, say))
        return runs
    finally:
        torch.set_num_threads(threads)


def final(runs: Sequence[Run]) -> list[Rewards]:
    """The last evaluation of each seed."""
    return [run.final for run in runs]


def since_start(runs: Sequence[Run]) -> dict[str, Interval]:
    """What training did, by task."""
    return compare(final(runs), [run.held_out[0] for run in runs])


def level(rewards: Sequence[Rewards], task: str) -> str:
    """The mean reward, as a table has it."""
    return f"{fmean(fmean(each[task]) for each in rewards):.3f}"


def training_seconds(runs: Sequence[Run]) -> float:
    """Seconds that a step spent on training itself, without sampling and rewards, on average."""
    return fmean(row["seconds"]["update"] for run in runs for row in read_steps(run.folder / METRICS))


def sampled(runs: Sequence[Run], tasks: Sequence[str]) -> dict[str, list[Curve]]:
    """The reward of the sampled rollouts: by task, a curve of each seed."""
    logs = histories(runs)
    return {task: [history.curve(task, "reward") for history in logs] for task in tasks}


def histories(runs: Sequence[Run]) -> list[History]:
    """The logs of each seed."""
    return [History(read_steps(run.folder / METRICS)) for run in runs]
