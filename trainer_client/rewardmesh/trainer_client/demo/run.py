"""The demo: preflight, a supervised warm-up, on-policy GRPO, and the same held-out prompts before and after."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from rewardmesh.trainer_client.demo.tasks import TASKS, WORDS, make_prompt
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.sft import warm_up
from rewardmesh.trainer_client.rollout import Prompt, Scorer
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.evaluate import Change, compare, evaluate
from rewardmesh.trainer_client.training.latency import Latency, TimedScorer
from rewardmesh.trainer_client.training.metrics import StepMetrics
from rewardmesh.trainer_client.training.preflight import preflight
from rewardmesh.trainer_client.training.trainer import Trainer

# Matrices this small gain little from a second thread, and lose tenfold when the mesh is busy on the second core.
THREADS = 1
STEPS = 140
# Enough to see by, no more: after 150 RL finds the best blind guess instead, after 300 it finds little to improve.
WARM_UP_STEPS = 250
WARM_UP_BATCH = 24
WARM_UP_RATE = 1e-3
# A multiple of the three tasks: every batch holds as many of each.
PROMPTS_PER_STEP = 18
HELD_OUT_PER_TASK = 96
SAMPLES_PER_HELD_OUT = 8
# Held-out prompts are numbers 0 to HELD_OUT_PER_TASK of their own range of seeds; training starts far above.
_TRAINING_SEEDS = 1_000_000
_PROMPTS_PER_TASK = 10_000
_REPORT_EVERY = 20


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What came of the demo.

    Attributes:
        seed: Of everything.
        parameters: How many the model has, all of them trained.
        changes: Mean reward on the held-out prompts before and after GRPO, by task.
        blind: Mean reward after GRPO when each prompt shows the picture of another, by task: what the answer's form and
            a guess earn. Only what is above it was seen.
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
    say: Callable[[str], None] = lambda line: None,
) -> DemoReport:
    """Trains a tiny vision-language model with rewards from `scorer`.

    Args:
        scorer: Judges the rollouts.
        seed: Of weights, prompts and samples.
        steps: GRPO steps.
        warm_up_steps: Supervised steps before them.
        say: Told a line now and then about how it goes.

    Raises:
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Every reward of a step failed, or one of an evaluation.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return _run(TimedScorer(scorer), seed, steps, warm_up_steps, say)
    finally:
        torch.set_num_threads(threads)


def _run(timed: TimedScorer, seed: int, steps: int, warm_up_steps: int, say: Callable[[str], None]) -> DemoReport:
    held_out = [make_prompt(task, number)[0] for task in TASKS for number in range(HELD_OUT_PER_TASK)]
    checked = preflight(held_out, timed)
    say("preflight: " + ", ".join(f"{count} {task}" for task, count in checked.items()) + " references paid in full")

    policy = Policy.tiny(WORDS, seed)
    parameters = sum(p.numel() for p in policy.model.parameters())
    examples = _examples(seed)
    seconds: dict[str, float] = {}
    sampling = SamplingConfig(group_size=SAMPLES_PER_HELD_OUT)

    started = time.perf_counter()
    losses = warm_up(policy, lambda: list(itertools.islice(examples, WARM_UP_BATCH)), warm_up_steps, WARM_UP_RATE)
    seconds["warm-up"] = time.perf_counter() - started
    say(f"warm-up: {parameters:,} parameters, loss {losses[0]:.2f} -> {losses[-1]:.2f}, {seconds['warm-up']:.0f} s")

    started = time.perf_counter()
    before = evaluate(policy, held_out, timed, sampling, seed)
    seconds["evaluation"] = time.perf_counter() - started

    mixture = Mixture([Source(task, task, _Rendered(task, seed)) for task in TASKS], seed=seed)
    config = TrainerConfig(prompts_per_step=PROMPTS_PER_STEP, decay_steps=steps, seed=seed)
    trainer = Trainer(policy, HfGeneration(policy, SamplingConfig()), timed, mixture, config)
    metrics: list[StepMetrics] = []
    started = time.perf_counter()
    for _ in range(steps):
        metrics.append(trainer.step())
        if len(metrics) % _REPORT_EVERY == 0:
            say(_progress(metrics[-_REPORT_EVERY:]))
    seconds["grpo"] = time.perf_counter() - started

    started = time.perf_counter()
    after = evaluate(policy, held_out, timed, sampling, seed)
    swapped = evaluate(policy, _swap_pictures(held_out), timed, sampling, seed)
    seconds["evaluation"] += time.perf_counter() - started
    return DemoReport(
        seed=seed,
        parameters=parameters,
        changes=compare(held_out, before, after),
        blind={task: change.after for task, change in compare(held_out, before, swapped).items()},
        steps=metrics,
        scoring=timed.scoring(),
        round_trip=timed.round_trip(),
        seconds=seconds,
    )


def _examples(seed: int) -> Iterator[tuple[Prompt, str]]:
    """Prompts and their answers, task by task in turn, without end."""
    for number in itertools.count(_TRAINING_SEEDS * (seed + 1)):
        for task in TASKS:
            yield make_prompt(task, number)


class _Rendered:
    """Prompts of one task, drawn when they are asked for; other ones than the warm-up's."""

    def __init__(self, task: str, seed: int) -> None:
        self._task = task
        self._first = _TRAINING_SEEDS * (seed + 1) + _TRAINING_SEEDS // 2

    def __len__(self) -> int:
        return _PROMPTS_PER_TASK

    def __getitem__(self, index: int, /) -> Prompt:
        return make_prompt(self._task, self._first + index)[0]


def _swap_pictures(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Each prompt with the picture of the one before it, which asks the same question."""
    return [
        replace(prompt, images=prompts[i - 1].images if prompts[i - 1].task == prompt.task else prompts[i + 1].images)
        for i, prompt in enumerate(prompts)
    ]


def _progress(steps: Sequence[StepMetrics]) -> str:
    """The mean reward of the last steps, by task."""
    parts: list[str] = []
    for task in steps[-1].tasks:
        rewards = [step.tasks[task].reward for step in steps]
        known = [reward for reward in rewards if reward is not None]
        parts.append(f"{task} {sum(known) / len(known):.2f}" if known else f"{task} failed")
    return f"step {steps[-1].step + 1}: mean reward " + ", ".join(parts)
