"""Starts the processes with Ray Train, which restarts them when one fails."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.distributed.ranks import Ranks
from rewardmesh.trainer_client.training.metrics import StepMetrics

Job = Callable[[Ranks], None]
"""What every process does, as one of `Ranks`: make a policy, shard it, train it, and `report` each step."""


def ray_trainer(job: Job, processes: int, out: Path, *, gpus: bool = True, failures: int = 3) -> Any:
    """A `ray.train.torch.TorchTrainer` of a job; its `fit` runs it on the Ray cluster of this session.

    A process that fails takes the group down, whatever the others wait for, and Ray starts the group again: `run` goes
    on from the newest checkpoint in the job's own folder. The processes unpickle what they send each other, and torch
    asks nobody for a password: they belong on a network of their own.

    Args:
        job: Sent to the processes by pickle.
        processes: How many; a GPU each, or a CPU.
        out: Where Ray keeps its own records, on a file system that all nodes see.
        gpus: Whether there are any.
        failures: How often the group is started again.

    Raises:
        ImportError: Ray Train is not installed (`pip install rewardmesh[distributed]`).
        RuntimeError: This session is on no cluster. Ray would start one by itself, open to everybody.
    """
    ray: Any = importlib.import_module("ray")
    if not ray.is_initialized():
        raise RuntimeError("connect to a Ray cluster first (ray.init), one that demands a token (RAY_AUTH_MODE=token)")
    train: Any = importlib.import_module("ray.train")
    by_torch: Any = importlib.import_module("ray.train.torch")

    def work() -> None:
        job(Ranks.join())

    return by_torch.TorchTrainer(
        work,
        torch_config=by_torch.TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=train.ScalingConfig(num_workers=processes, use_gpu=gpus),
        run_config=train.RunConfig(
            name="rewardmesh", storage_path=str(out), failure_config=train.FailureConfig(max_failures=failures)
        ),
    )


def report(metrics: StepMetrics) -> None:
    """Tells Ray Train of a step. To be called by all processes, from within a job."""
    train: Any = importlib.import_module("ray.train")
    numbers = {name: value for name, value in asdict(metrics).items() if isinstance(value, (int, float))}
    train.report({**numbers, **{f"reward/{task}": each.reward for task, each in metrics.tasks.items()}})
