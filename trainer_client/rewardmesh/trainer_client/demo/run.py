"""The demo: preflight, a supervised warm-up, on-policy GRPO, and the same held-out prompts before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from rewardmesh.trainer_client.demo.feed import TRAINING, batches, held_out, sources, swap_pictures
from rewardmesh.trainer_client.demo.tasks import TASKS, VISUAL, WORDS
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.sft import warm_up
from rewardmesh.trainer_client.rollout import Scorer
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.evaluate import Change, compare, evaluate_greedy
from rewardmesh.trainer_client.training.latency import Latency, TimedScorer
from rewardmesh.trainer_client.training.metrics import StepMetrics
from rewardmesh.trainer_client.training.preflight import preflight
from rewardmesh.trainer_client.training.trainer import Trainer

# Matrices this small gain little from a second thread, and lose tenfold when the mesh is busy on the second core.
THREADS = 1
STEPS = 100
# Until it sees, if not well. RL makes much of what is seen sometimes, and nothing of what is never seen.
WARM_UP_STEPS = 400
WARM_UP_RATE = 2e-3
RATE = 3e-4
SAMPLING = SamplingConfig(group_size=8, max_tokens=14)
HELD_OUT_PER_TASK = 64
_REPORT_EVERY = 20


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What came of the demo. Rewards are those of greedy answers to held-out prompts, on average.

    Attributes:
        seed: Of everything.
        parameters: How many the model has, all of them trained.
        changes: The reward before and after GRPO, by task.
        blind: The reward after GRPO when each prompt shows the pictures of another, by task that has pictures: what the
            answer's form and a guess earn. Only what is above it was seen.
        steps: What each GRPO step did.
        scoring: Seconds a reward spent on one rollout, by reward.
        round_trip: Seconds the trainer waited for a batch of rewards.
        seconds: Wall time of "warm-up", "evaluation" and "grpo".
    """

    seed: int
    parameters: int
    changes: Mapping[str, Change]
    blind: Mapping[str, float]
    steps: Sequence[StepMetrics]
    scoring: Mapping[str, Latency]
    round_trip: Latency
    seconds: Mapping[str, float]


def run(
    scorer: Scorer,
    seed: int = 0,
    steps: int = STEPS,
    warm_up_steps: int = WARM_UP_STEPS,
    tasks: Sequence[str] = tuple(TASKS),
    say: Callable[[str], None] = lambda line: None,
) -> DemoReport:
    """Trains a tiny vision-language model with rewards from `scorer`.

    Args:
        scorer: Judges the rollouts.
        seed: Of weights, prompts and samples.
        steps: GRPO steps.
        warm_up_steps: Supervised steps before them.
        tasks: What is trained, and tested.
        say: Told a line now and then about how it goes.

    Raises:
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Too many rewards of a step failed, or one of an evaluation.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return _run(TimedScorer(scorer), seed, steps, warm_up_steps, tasks, say)
    finally:
        torch.set_num_threads(threads)


def _run(
    timed: TimedScorer, seed: int, steps: int, warm_up_steps: int, tasks: Sequence[str], say: Callable[[str], None]
) -> DemoReport:
    asked = held_out(tasks, HELD_OUT_PER_TASK)
    checked = preflight(asked, timed)
    say("preflight: " + ", ".join(f"{count} {task}" for task, count in checked.items()) + " references paid in full")

    policy = Policy.tiny(WORDS, seed)
    parameters = sum(p.numel() for p in policy.model.parameters())
    examples = batches(tasks, seed)
    seconds: dict[str, float] = {}

    started = time.perf_counter()
    losses = warm_up(policy, lambda: next(examples), warm_up_steps, WARM_UP_RATE)
    seconds["warm-up"] = time.perf_counter() - started
    say(f"warm-up: {parameters:,} parameters, loss {losses[0]:.2f} -> {losses[-1]:.2f}, {seconds['warm-up']:.0f} s")

    started = time.perf_counter()
    before = evaluate_greedy(policy, asked, timed, SAMPLING.max_tokens)
    seconds["evaluation"] = time.perf_counter() - started

    config = TrainerConfig(
        prompts_per_step=sum(TRAINING[task] for task in tasks),
        learning_rate=RATE,
        decay_steps=steps,
        max_redraws=0,
        seed=seed,
    )
    trainer = Trainer(policy, HfGeneration(policy, SAMPLING), timed, Mixture(sources(tasks, seed), seed=seed), config)
    metrics: list[StepMetrics] = []
    started = time.perf_counter()
    for _ in range(steps):
        metrics.append(trainer.step())
        if len(metrics) % _REPORT_EVERY == 0:
            say(_progress(metrics[-_REPORT_EVERY:]))
    seconds["grpo"] = time.perf_counter() - started

    started = time.perf_counter()
    after = evaluate_greedy(policy, asked, timed, SAMPLING.max_tokens)
    seeing = [prompt for prompt in asked if prompt.task in VISUAL]
    swapped = evaluate_greedy(policy, swap_pictures(seeing), timed, SAMPLING.max_tokens)
    seconds["evaluation"] += time.perf_counter() - started
    return DemoReport(
        seed=seed,
        parameters=parameters,
        changes=compare(asked, before, after),
        blind={task: change.after for task, change in compare(seeing, before, swapped).items()},
        steps=metrics,
        scoring=timed.scoring(),
        round_trip=timed.round_trip(),
        seconds=seconds,
    )


def _progress(steps: Sequence[StepMetrics]) -> str:
    """The mean reward of the last steps, by task."""
    parts: list[str] = []
    for task in steps[-1].tasks:
        rewards = [step.tasks[task].reward for step in steps if task in step.tasks]
        known = [reward for reward in rewards if reward is not None]
        parts.append(f"{task} {sum(known) / len(known):.2f}" if known else f"{task} failed")
    return f"step {steps[-1].step + 1}: mean reward " + ", ".join(parts)
