"""One on-policy step per batch against vanilla GRPO, on as many rollouts of the same prompts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rewardmesh.trainer_client.demo.feed import TRAINING
from rewardmesh.trainer_client.demo.run import RATE
from rewardmesh.trainer_client.experiments import bands, reading
from rewardmesh.trainer_client.experiments.arm import Arm
from rewardmesh.trainer_client.experiments.compare import compare
from rewardmesh.trainer_client.experiments.laboratory import (
    final,
    level,
    run_arms,
    sampled,
    since_start,
    training_seconds,
)
from rewardmesh.trainer_client.experiments.outcome import Outcome, Table
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig
from rewardmesh.trainer_client.rollout import Scorer

NAME = "onpolicy-vs-vanilla"
ON_POLICY, VANILLA = "on-policy", "vanilla"


def run(size: Size, scorer: Scorer, out: Path, model: Path | None, say: Callable[[str], None]) -> Outcome:
    """Trains both ways and compares.

    Raises:
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Too many rewards failed, or one of an evaluation.
    """
    started = time.perf_counter()
    tasks, config = size.tasks, VanillaConfig()
    arms = [Arm(ON_POLICY, tasks), Arm(VANILLA, tasks, vanilla=config)]
    runs = run_arms(arms, size, scorer, out, model, say)
    ours, theirs = runs[ON_POLICY], runs[VANILLA]
    between = compare(final(ours), final(theirs))
    moved = {name: since_start(each) for name, each in runs.items()}
    first = [each.held_out[0] for each in ours]
    rows = [
        [
            task,
            level(first, task),
            *(f"{level(final(each), task)} ({moved[name][task]})" for name, each in runs.items()),
            str(between[task]),
        ]
        for task in tasks
    ]
    slower = training_seconds(theirs) / training_seconds(ours)
    rollouts = size.steps * size.batches * sum(TRAINING[task] for task in tasks) * size.group_size
    return Outcome(
        name=NAME,
        question=(
            "Does one on-policy step per batch learn more from the same number of rollouts than vanilla GRPO, with "
            f"{config.updates} updates per batch, a clip of {config.clip_low:g} and a KL term of weight {config.kl:g}? "
            f"{rollouts:,} rollouts in each run; both with learning rate {RATE:g}."
        ),
        size=size,
        arms=runs,
        differences={f"{ON_POLICY} - {VANILLA}": between, **{f"{name} - start": each for name, each in moved.items()}},
        tables=[
            Table(
                "Held-out reward, greedy",
                ["task", "start", *(f"{name} (change)" for name in runs), f"{ON_POLICY} less {VANILLA}"],
                rows,
            )
        ],
        reading=[
            *reading.against("on-policy training", "vanilla GRPO", between),
            *reading.since_start("on-policy training", moved[ON_POLICY]),
            *reading.since_start("vanilla GRPO", moved[VANILLA]),
            f"Vanilla GRPO took {config.updates} optimizer steps per batch; training took {slower:.1f} times as long.",
            reading.limits(size.seeds, 3 * len(tasks), size.held_out),
        ],
        pictures={
            "training": bands.training({name: sampled(each, tasks) for name, each in runs.items()}, tasks),
            "held_out": bands.evaluations({name: dict.fromkeys(tasks, each) for name, each in runs.items()}, tasks),
        },
        seconds=time.perf_counter() - started,
        more={"training_time_vanilla_vs_on_policy": slower},
    )
