"""One arm of an experiment, and its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardmesh.trainer_client.experiments.data import Fresh
from rewardmesh.trainer_client.experiments.held_out import by_task, greedy_rewards
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig
from rewardmesh.trainer_client.logs.folder import open_logs
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.rollout import Prompt, Scorer
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to train.

    Attributes:
        name: For tables and folders.
        tasks: What it is trained on.
        vanilla: Several updates per batch; None: one, on-policy.
        measured: The tasks' gradients are compared now and then.
    """

    name: str
    tasks: tuple[str, ...]
    vanilla: VanillaConfig | None = None
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What came of training once.

    Attributes:
        arm: The arm's name.
        seed: Of prompts and samples.
        held_out: By step, by task: the greedy answer's reward of each held-out prompt, in order.
        folder: Its logs.
    """

    arm: str
    seed: int
    held_out: Mapping[int, Mapping[str, Sequence[float]]]
    folder: Path

    @property
    def final(self) -> Mapping[str, Sequence[float]]:
        """The last evaluation."""
        return self.held_out[max(self.held_out)]


def train(
    arm: Arm,
    seed: int,
    policy: Policy,
    size: Size,
    held_out: Sequence[Prompt],
    scorer: Scorer,
    folder: Path,
    say: Callable[[str], None],
) -> Run:
    """Trains a policy as the arm says.

    Nothing is drawn twice and nothing is re-drawn: arms with the same seed see the same prompts of a task, and as many
    rollouts of each.

    Args:
        arm: How.
        seed: Of prompts and samples.
        policy: At the start that all runs share; it is trained in place.
        size: How long.
        held_out: What it is evaluated on.
        scorer: Judges the rollouts.
        folder: For the run's logs; what an earlier run left there is dropped.
        say: Told a line now and then.

    Raises:
        RewardsFailedError: Too many rewards failed, or one of an evaluation.
    """
    sampling = SamplingConfig(size.group_size, size.max_tokens)
    mixture = Mixture([Source(task, task, Fresh(task, seed)) for task in arm.tasks], seed=seed, easy_probability=0.0)
    config = TrainerConfig(
        prompts_per_step=size.prompts_per_task * len(arm.tasks),
        micro_batch=size.micro_batch,
        learning_rate=size.learning_rate,
        decay_steps=size.steps * (arm.vanilla.updates if arm.vanilla else 1),
        max_redraws=0,
        measure_every=size.measure_every if arm.measured else 0,
        vanilla=arm.vanilla,
        seed=seed,
    )
    logs = open_logs(folder)
    for log in logs:
        log.rewind(0)
    trainer = Trainer(policy, HfGeneration(policy, sampling), scorer, mixture, config, logs)
    found: dict[int, Mapping[str, Sequence[float]]] = {}
    for step in range(size.steps + 1):
        if step % size.evaluate_every == 0 or step == size.steps:
            found[step] = by_task(held_out, greedy_rewards(policy, held_out, scorer, size.max_tokens))
            means = ", ".join(f"{task} {sum(rewards) / len(rewards):.3f}" for task, rewards in found[step].items())
            say(f"{arm.name}, seed {seed}, step {step}: {means}")
        if step < size.steps:
            trainer.step()
    for log in logs:
        log.close()
    return Run(arm.name, seed, found, folder)
