"""How the policy is trained."""

from __future__ import annotations

from dataclasses import dataclass

from rewardmesh.trainer_client.grpo.advantages import Std
from rewardmesh.trainer_client.grpo.losses import Norm


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Everything a step depends on but the policy, the prompts and the rewards. How completions are sampled is the
    generation's `SamplingConfig`, which refuses what would be off-policy.

    Attributes:
        prompts_per_step: Groups of a batch.
        prompts_per_wave: Groups that are generated together; 0: all. Training starts when the last wave is generated,
            with the first, whose rewards have had the longest to arrive: four waves hide rewards that take as long as
            generation itself. Smaller waves cost generation some speed.
        micro_batch: Completions per forward pass of training; changes memory and time, never the gradient. Slow
            rewards are hidden only if it is no larger than a wave.
        norm: What the loss is a mean of; see `grpo.losses`.
        advantage_std: The deviation that advantages are divided by; see `grpo.advantages`.
        advantage_epsilon: Added to it.
        learning_rate: Adam's. Measured on the tiny model: at 1e-3 its entropy collapses.
        decay_steps: Over how many optimizer steps the learning rate falls, linearly, to a tenth; 0 to keep it. The last
            policy is then not the one that the last few noisy batches happened to push somewhere.
        max_gradient_norm: Gradients longer than this are scaled down to it.
        max_redraws: How often, at most, groups that taught nothing (their rewards are all alike, or failed) are
            replaced by others in one step.
        retries: How often a reward that failed is asked for again, unless what failed is the data.
        min_valid: A group with so many rewards is trained on although others failed; None: one failure drops the group.
        max_failure_rate: The step is given up when more of its rewards failed than this share, or all of a task.
        seed: Of sampling.

    Raises:
        ValueError: A number is out of its range.
    """

    prompts_per_step: int = 16
    prompts_per_wave: int = 0
    micro_batch: int = 128
    norm: Norm = "group_token"
    advantage_std: Std = "population"
    advantage_epsilon: float = 0.0
    learning_rate: float = 4e-4
    decay_steps: int = 0
    max_gradient_norm: float = 1.0
    max_redraws: int = 2
    retries: int = 2
    min_valid: int | None = None
    max_failure_rate: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "prompts_per_step": 1,
            "prompts_per_wave": 0,
            "micro_batch": 1,
            "decay_steps": 0,
            "max_redraws": 0,
            "retries": 0,
            "advantage_epsilon": 0,
        }
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {getattr(self, name)}")
        for name in ("learning_rate", "max_gradient_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.min_valid is not None and self.min_valid < 2:
            raise ValueError(f"min_valid must be at least 2 (one reward alone has no spread), got {self.min_valid}")
        if not 0 <= self.max_failure_rate <= 1:
            raise ValueError(f"max_failure_rate must lie in [0, 1], got {self.max_failure_rate}")
