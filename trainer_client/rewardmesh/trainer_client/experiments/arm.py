"""One arm of an experiment, and its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rewardmesh.trainer_client.demo.feed import TRAINING, sources
from rewardmesh.trainer_client.demo.run import RATE, SAMPLING
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig
from rewardmesh.trainer_client.logs.folder import open_logs
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.rollout import Prompt, Scorer
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.evaluate import evaluate_greedy
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


def evaluated(policy: Policy, held_out: Sequence[Prompt], scorer: Scorer) -> dict[str, list[float]]:
    """The reward of the greedy answer to each held-out prompt, by task.

    Raises:
        RewardsFailedError: A reward failed.
    """
    rewards = evaluate_greedy(policy, held_out, scorer, SAMPLING.max_tokens)
    found: dict[str, list[float]] = {}
    for prompt in held_out:
        found.setdefault(prompt.task, []).append(rewards[prompt.id])
    return found


def told(rewards: Mapping[str, Sequence[float]]) -> str:
    """Each task's mean reward, for people."""
    return ", ".join(f"{task} {fmean(each):.3f}" for task, each in rewards.items())


def train(
    arm: Arm,
    seed: int,
    policy: Policy,
    size: Size,
    held_out: Sequence[Prompt],
    start: Mapping[str, Sequence[float]],
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
        start: The evaluation of the policy as it is now: the same for all runs.
        scorer: Judges the rollouts.
        folder: For the run's logs; what an earlier run left there is dropped.
        say: Told a line now and then.

    Raises:
        RewardsFailedError: Too many rewards failed, or one of an evaluation.
    """
    sampling = SamplingConfig(size.group_size, SAMPLING.max_tokens)
    mixture = Mixture(sources(arm.tasks, seed), seed=seed, easy_probability=0.0)
    config = TrainerConfig(
        prompts_per_step=size.batches * sum(TRAINING[task] for task in arm.tasks),
        micro_batch=size.micro_batch,
        learning_rate=RATE,
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
    found: dict[int, Mapping[str, Sequence[float]]] = {0: start}
    for step in range(1, size.steps + 1):
        trainer.step()
        if step % size.evaluate_every == 0 or step == size.steps:
            found[step] = evaluated(policy, held_out, scorer)
            say(f"{arm.name}, seed {seed}, step {step}: {told(found[step])}")
    for log in logs:
        log.close()
    return Run(arm.name, seed, found, folder)
