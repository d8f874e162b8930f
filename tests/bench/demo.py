"""Does the demo learn, whatever the seed? Trains its policy once per seed, with real rewards in this process.

    python -m tests.bench.demo [--seeds 5] [--first 0] [--failing 0.2]

Rewards are those of greedy answers to held-out prompts. A task has gained if its reward went up by at least 0.25, or by
half of what was left to gain. The last line is one JSON object: `seeds_passed` counts the seeds in which at least two
tasks with pictures gained and no task fell.

With `--failing` every seed is trained twice, the second time with that share of its rewards failing at random: timed
out, crashed, not a number, out of range. `failing_less_clean` is then what that cost each task in the end, over seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from rewardmesh.contract import Failure, Rollout, Score, Verdict
from rewardmesh.contract.errors import InvalidScoreError
from rewardmesh.rewards.preference.demo.text import train_demo
from rewardmesh.rewards.registry import load
from rewardmesh.trainer_client.demo.run import THREADS, DemoReport, run
from rewardmesh.trainer_client.demo.tasks import TASKS, VISUAL
from rewardmesh.trainer_client.training.evaluate import Change

GAIN = 0.25
SHARE = 0.5


class Rewards:
    """The rewards of the demo's tasks, without a router. What is judged once is remembered: a model takes its time."""

    def __init__(self, reward_model: Path) -> None:
        options: dict[str, dict[str, Any]] = {"preference": {"checkpoint": str(reward_model)}}
        self._rewards = {task: load(task)(**options.get(task, {})) for task in TASKS}
        self._judged: dict[tuple[object, str], Score | Failure] = {}
        torch.set_num_threads(THREADS)  # a reward model takes what there is

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in order."""
        return [Verdict(r.id, self._one(r), task=r.task, reward=r.task) for r in rollouts]

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        """The same, at once."""
        future: Future[list[Verdict]] = Future()
        future.set_result(self.score(rollouts))
        return future

    def _one(self, rollout: Rollout) -> Score | Failure:
        key = (rollout.group, rollout.completion)
        if key not in self._judged:
            (outcome,) = self._rewards[rollout.task].score([rollout])
            self._judged[key] = Failure.from_error(outcome) if isinstance(outcome, Exception) else outcome
        return self._judged[key]


class Failing:
    """Rewards of which a share fails while the policy is trained; nothing fails that evaluates it."""

    def __init__(self, rewards: Rewards, share: float, seed: int) -> None:
        self._rewards = rewards
        self._share = share
        self._rng = random.Random(seed)

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in order."""
        return [
            verdict._replace(outcome=_failure(self._rng))
            if rollout.policy_version is not None and self._rng.random() < self._share
            else verdict
            for rollout, verdict in zip(rollouts, self._rewards.score(rollouts), strict=True)
        ]

    submit = Rewards.submit  # at once: models are not to be asked by several threads


def _failure(rng: random.Random) -> Failure:
    """What becomes of a reward that is late, dies, or computes no score."""
    kind = rng.choice(("timeout", "crashed", math.nan, 7.0))
    if isinstance(kind, str):
        return Failure("timeout" if kind == "timeout" else "crashed", "told to", retryable=True)
    try:
        Score(kind)
    except InvalidScoreError as error:
        return Failure.from_error(error)
    raise AssertionError(f"{kind} is a score")


def gained(change: Change) -> bool:
    """Whether a task learned as much as the demo promises."""
    rise = change.after - change.before
    return rise >= GAIN or rise >= SHARE * (1 - change.before) > 0


def passed(report: DemoReport) -> bool:
    """Whether a seed kept all of the demo's promises."""
    rose = sum(gained(report.changes[task]) for task in VISUAL)
    return rose >= 2 and all(change.after >= change.before for change in report.changes.values())


def main() -> int:
    """Runs the seeds; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.demo", description="Does the demo learn?")
    parser.add_argument("--seeds", type=int, default=5, help="how many (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (%(default)s)")
    parser.add_argument("--failing", type=float, default=0.0, help="share of rewards that fail in a second training")
    options = parser.parse_args()
    reports: list[DemoReport] = []
    failing: list[DemoReport] = []
    with tempfile.TemporaryDirectory() as folder:
        train_demo(Path(folder))
        rewards = Rewards(Path(folder))
        for seed in range(options.first, options.first + options.seeds):
            reports.append(run(rewards, seed))
            _tell(f"seed {seed}", reports[-1])
            if options.failing:
                failing.append(run(Failing(rewards, options.failing, seed), seed))
                _tell(f"seed {seed}, {options.failing:.0%} failing", failing[-1])
    sys.stdout.write(json.dumps(_figures(reports) | (_cost(reports, failing) if failing else {})) + "\n")
    return 0


def _tell(name: str, report: DemoReport) -> None:
    trained = report.seconds["warm-up"] + report.seconds["grpo"]
    sys.stdout.write(f"{name}: {trained:.0f} s of training{'' if passed(report) else ', short of it'}\n")
    for task, change in report.changes.items():
        blind = f", blind {report.blind[task]:.3f}" if task in report.blind else ""
        mark = " *" if gained(change) else ""
        sys.stdout.write(f"  {task:<12}{change.before:.3f} -> {change.after:.3f}{blind}{mark}\n")
    sys.stdout.flush()


def _cost(clean: Sequence[DemoReport], failing: Sequence[DemoReport]) -> dict[str, Any]:
    """By task, what failures cost: the mean over seeds, and the standard deviation of clean runs from seed to seed."""
    tasks = [step.tasks.values() for report in failing for step in report.steps]
    counted = [(task.failures, task.rollouts) for each in tasks for task in each]
    return {
        "failed_after_retries": round(sum(f for f, _ in counted) / sum(r for _, r in counted), 4),
        "failing_less_clean": {
            task: round(
                fmean(f.changes[task].after - c.changes[task].after for c, f in zip(clean, failing, strict=True)), 3
            )
            for task in TASKS
        },
        "clean_deviation": {
            task: round(stdev(c.changes[task].after for c in clean), 3) if len(clean) > 1 else None for task in TASKS
        },
    }


def _figures(reports: Sequence[DemoReport]) -> dict[str, Any]:
    changes = [report.changes for report in reports]
    return {
        "seeds": len(reports),
        "seeds_passed": sum(map(passed, reports)),
        "fewest_visual_tasks_gained": min(sum(gained(each[task]) for task in VISUAL) for each in changes),
        "tasks_that_fell": sum(change.after < change.before for each in changes for change in each.values()),
        "before": {task: round(fmean(each[task].before for each in changes), 3) for task in TASKS},
        "after": {task: round(fmean(each[task].after for each in changes), 3) for task in TASKS},
        "training_seconds": round(max(r.seconds["warm-up"] + r.seconds["grpo"] for r in reports), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
