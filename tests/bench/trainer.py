"""A training step beside TRL's, with slow rewards, and its gradients beside TRL's and those of two processes.

    python -m tests.bench.trainer [--rounds N] [--threads N] [--prompts N] [--group N] [--tokens N]

Both trainers get the same tiny text model, prompts, group size and rewards, and take turns step by step in one process.
How long completions are is up to chance, with the same odds on both sides: about a third of the longest, on average.

    step_vs_trl                wall time of our step over that of `GRPOTrainer`, median of the rounds; step_cpu_vs_trl:
                               the same of the process's CPU time, which other work on the machine does not change
    step_with_slow_rewards     our step when every verdict comes as long after its completion as the generation of the
                               whole batch took in the step before, over our step when verdicts are there at once; the
                               fastest of each kind, since other work on the machine can only add to a step
    slow_rewards_vs_one_wave   the same over a step that generates all prompts at once, and has the verdicts at once
    waited_with_slow_rewards   share of a step with slow rewards in which there was nothing to do but wait
    training_over_generation   in the latter: should be at least 1, else training is too short to hide anything behind
    gradient_difference_trl    the largest of any parameter, of one batch, against `GRPOTrainer._compute_loss`
    gradient_difference_2_ranks   the same between one process and two, over the largest coordinate of the parameter's

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.metrics import StepMetrics
from rewardmesh.trainer_client.training.trainer import Trainer
from tests.bench import tiny_checkpoint, trl_side
from tests.trainer_client.distributed.two_ranks import gradient_difference_2_ranks

LEARNING_RATE = 1e-5  # low enough that lengths stay what they are
WAVES = 4
# With slow rewards there must be something to hide them behind: wider layers, so that training takes as long as
# generation, whose passes of few tokens are mostly overhead on a tiny model.
SLOW_HIDDEN = 256


@dataclass(frozen=True, slots=True)
class Size:
    """Prompts of a step, completions of each, and their longest."""

    prompts: int
    group: int
    tokens: int


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trainer", description="A training step, timed.")
    parser.add_argument("--rounds", type=int, default=9, help="steps of each side")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--prompts", type=int, default=16, help="of a step")
    parser.add_argument("--group", type=int, default=8, help="completions of a prompt")
    parser.add_argument("--tokens", type=int, default=48, help="of the longest completion")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)  # transformers' advice
    size = Size(options.prompts, options.group, options.tokens)
    with tempfile.TemporaryDirectory() as name:
        narrow, wide = Path(name, "narrow"), Path(name, "wide")
        tiny_checkpoint.save(narrow, size.tokens / 3)
        tiny_checkpoint.save(wide, size.tokens / 3, SLOW_HIDDEN)
        report = {
            "threads": options.threads,
            **beside_trl(narrow, size, options.rounds),
            **with_slow_rewards(wide, size, options.rounds),
            "gradient_difference_trl": trl_side.gradient_difference(policy(narrow)),
            "gradient_difference_2_ranks": gradient_difference_2_ranks(),
        }
    for name, figure in report.items():
        sys.stdout.write(f"{name:30} {figure}\n")
    sys.stdout.write(json.dumps(report) + "\n")


def policy(folder: Path) -> Policy:
    """The checkpoint."""
    loaded = Policy.load(folder, device="cpu")
    tiny_checkpoint.biased(loaded.model, folder)
    return loaded


def trainer(folder: Path, size: Size, scorer: Any, waves: int = 1) -> Trainer:
    """Ours."""
    trained = policy(folder)
    config = TrainerConfig(
        prompts_per_step=size.prompts,
        prompts_per_wave=size.prompts // waves,
        micro_batch=size.prompts * size.group // waves,
        learning_rate=LEARNING_RATE,
        max_redraws=0,
    )
    generation = HfGeneration(trained, SamplingConfig(size.group, size.tokens))
    return Trainer(trained, generation, scorer, tiny_checkpoint.InOrder(), config)


def beside_trl(folder: Path, size: Size, rounds: int) -> dict[str, Any]:
    """Both trainers' steps, in turns; the first warms them."""
    ours = trainer(folder, size, tiny_checkpoint.AtOnce())
    wall: list[tuple[float, float]] = []
    cpu: list[tuple[float, float]] = []
    lengths: list[float] = []

    def after(their_wall: float, their_cpu: float) -> None:
        began = time.perf_counter(), time.process_time()
        metrics = ours.step()
        wall.append((time.perf_counter() - began[0], their_wall))
        cpu.append((time.process_time() - began[1], their_cpu))
        lengths.append(metrics.tasks["math"].length)

    ids = ours.policy.encode(tiny_checkpoint.prompt(0)).ids.tolist()
    theirs = trl_side.run(folder, size.prompts, size.group, size.tokens, rounds + 1, LEARNING_RATE, ids, after)
    return {
        "step_vs_trl": round(median(a / b for a, b in wall[1:]), 3),
        "step_cpu_vs_trl": round(median(a / b for a, b in cpu[1:]), 3),
        "step_seconds": round(median(a for a, _ in wall[1:]), 3),
        "trl_step_seconds": round(median(b for _, b in wall[1:]), 3),
        "mean_length": round(fmean(lengths), 1),
        "trl_mean_length": round(theirs, 1),
    }


def with_slow_rewards(folder: Path, size: Size, rounds: int) -> dict[str, Any]:
    """Steps with verdicts at once and with late ones, in turns, of the same weights, prompts and seeds."""
    late = Late()
    one_wave = trainer(folder, size, tiny_checkpoint.AtOnce())
    at_once, slow = (trainer(folder, size, scorer, WAVES) for scorer in (tiny_checkpoint.AtOnce(), late))
    found: list[tuple[float, float, float, float, float]] = []
    for count in range(rounds + 1):
        whole, _ = timed(one_wave)
        seconds, metrics = timed(at_once)
        late.delay = metrics.seconds["sample"]
        slow_seconds, slow_metrics = timed(slow)
        if count:
            over = metrics.seconds["update"] / metrics.seconds["sample"]
            found.append((slow_seconds, seconds, whole, over, slow_metrics.seconds["score"] / slow_seconds))
    late.close()
    pairs = zip(at_once.policy.model.parameters(), slow.policy.model.parameters(), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        raise SystemExit("late verdicts gave other weights")
    slow_seconds, seconds, whole, over, waited = zip(*found, strict=True)
    return {
        "step_with_slow_rewards": round(min(slow_seconds) / min(seconds), 3),
        "slow_rewards_vs_one_wave": round(min(slow_seconds) / min(whole), 3),
        "training_over_generation": round(median(over), 2),
        "waited_with_slow_rewards": round(median(waited), 3),
    }


def timed(side: Trainer) -> tuple[float, StepMetrics]:
    """Seconds of a step, and its own account of it."""
    began = time.perf_counter()
    metrics = side.step()
    return time.perf_counter() - began, metrics


class Late:
    """Verdicts that are known at once and told `delay` seconds later."""

    def __init__(self) -> None:
        self.delay = 0.0
        self._due: queue.SimpleQueue[tuple[float, Future[list[Verdict]], list[Verdict]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._tell, daemon=True).start()

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        """A future that waits."""
        future: Future[list[Verdict]] = Future()
        self._due.put((time.perf_counter() + self.delay, future, tiny_checkpoint.verdicts(rollouts)))
        return future

    def close(self) -> None:
        """Ends the thread."""
        self._due.put(None)

    def _tell(self) -> None:
        while (item := self._due.get()) is not None:
            due, future, found = item
            time.sleep(max(0.0, due - time.perf_counter()))
            future.set_result(found)


if __name__ == "__main__":
    main()
