"""Trains under Ray Train with two processes, kills one of them, and compares the weights with those of one process.

    python -m tests.bench.ray_train

Starts a local Ray cluster with CPU workers; takes a minute or two, which is why it is not among the tests. The last
line is one JSON object: `apart_ray_train`, how far the two end from each other over how far they came, after three
steps of which the second was interrupted by the death of a process; and `restarts`. The gradients differ in the last
bits, and Adam makes whole steps of what is next to nothing.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path

import torch

from rewardmesh.services import cluster
from rewardmesh.trainer_client.distributed.ranks import Ranks
from rewardmesh.trainer_client.distributed.ray_train import ray_trainer, report
from rewardmesh.trainer_client.distributed.run import run
from rewardmesh.trainer_client.training.metrics import StepMetrics
from rewardmesh.trainer_client.training.trainer import Trainer
from tests.trainer_client.distributed.two_ranks import CONFIG, replaying, weights

STEPS = 3


def made(ranks: Ranks) -> Trainer:
    """Trains on the same completions at every step: from the second on they are not the policy's own."""
    return replaying(ranks, config=dataclasses.replace(CONFIG, max_mismatch=100.0))


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Between two sets of weights."""
    return float(torch.stack([(one[name] - other[name]).double().square().sum() for name in one]).sum().sqrt())


def main() -> None:
    """Runs it, and prints the figures."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)

        def told(metrics: StepMetrics) -> None:
            report(metrics)
            if metrics.step == 1 and not (out / "died").exists():
                (out / "died").touch()  # by both, and then neither dies again
                os._exit(1)

        def job(ranks: Ranks) -> None:
            torch.set_num_threads(1)
            with (out / f"starts-{ranks.rank}").open("a") as file:
                file.write("started\n")
            training = made(ranks)
            run(training, ranks, STEPS, out, every=1, told=told if ranks.rank == 1 else report)
            held = weights(training)
            if ranks.rank == 0:
                torch.save(held, out / "weights.pt")

        cluster.join()
        try:
            ray_trainer(job, 2, out / "ray", gpus=False).fit()
        finally:
            cluster.leave()
        shared = torch.load(out / "weights.pt", weights_only=True)
        starts = (out / "starts-0").read_text().count("started")
    alone = made(Ranks())
    start = weights(alone)
    for _ in range(STEPS):
        alone.step()
    figures = {
        "apart_ray_train": distance(shared, weights(alone)) / distance(start, weights(alone)),
        "restarts": starts - 1,
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
