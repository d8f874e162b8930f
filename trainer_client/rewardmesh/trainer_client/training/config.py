"""How the policy is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rewardmesh.trainer_client.grpo.advantages import Std
from rewardmesh.trainer_client.grpo.losses import Norm
from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig
from rewardmesh.trainer_client.policy.parts import PartRates


@dataclass(frozen=True, slots=True)
class Overlong:
    """A penalty on completions that come near the length limit; see `grpo.overlong`.

    Attributes:
        limit: The most tokens a completion may have: `SamplingConfig.max_tokens`.
        buffer: Over how many tokens before it the penalty grows.
        factor: The largest penalty.
    """

    limit: int
    buffer: int
    factor: float = 1.0


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
        gdpo: For tasks whose rewards have components: the weight of each component, by task. Each component makes an
            advantage of its own (see `grpo.gdpo`); the score as a whole then only counts in what is reported.
        task_scale: Factors of the advantages, by task; 1 for those that are not named.
        overlong: A penalty on long completions, but not of tasks with `gdpo`; None: none.
        learning_rate: Adam's. Measured on the tiny model: at 1e-3 its entropy collapses.
        rates: A learning rate for each part of the model in place of `learning_rate`, or None to freeze it.
        decay_steps: Over how many optimizer steps the learning rate falls, linearly, to a tenth; 0 to keep it. The last
            policy is then not the one that the last few noisy batches happened to push somewhere.
        max_gradient_norm: Gradients longer than this are scaled down to it.
        max_redraws: How often, at most, groups that taught nothing (their rewards are all alike, or failed) are
            replaced by others in one step.
        retries: How often a reward that failed is asked for again, unless what failed is the data.
        min_valid: A group with so many rewards is trained on although others failed; None: one failure drops the group.
        max_failure_rate: The step is given up when more of its rewards failed than this share, or all of a task.
        max_mismatch: The step is given up when sampler and trainer differ by more than this, in nats per token on
            average. In one process they differ by 1e-6 in float32, by 1e-2 in bfloat16.
        importance_cap: Weighs each token by its probability to the trainer over that to the sampler, at most this,
            where another engine samples; None: no weights. See `policy.mismatch`.
        measure_every: Every so many steps the gradients of the tasks are compared (see `interference.gradients`), which
            about doubles the time that training takes in these; 0: never.
        vanilla: Several updates per batch, with clip and KL term, in place of one: off-policy, to compare with.
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
    gdpo: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    task_scale: Mapping[str, float] = field(default_factory=dict[str, float])
    overlong: Overlong | None = None
    learning_rate: float = 4e-4
    rates: PartRates | None = None
    decay_steps: int = 0
    max_gradient_norm: float = 1.0
    max_redraws: int = 2
    retries: int = 2
    min_valid: int | None = None
    max_failure_rate: float = 0.5
    max_mismatch: float = 0.05
    importance_cap: float | None = None
    measure_every: int = 0
    vanilla: VanillaConfig | None = None
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
            "measure_every": 0,
        }
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {getattr(self, name)}")
        for name in ("learning_rate", "max_gradient_norm", "max_mismatch"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.importance_cap is not None and not self.importance_cap >= 1:
            raise ValueError(f"importance_cap must be at least 1, got {self.importance_cap}")
        if self.min_valid is not None and self.min_valid < 2:
            raise ValueError(f"min_valid must be at least 2 (one reward alone has no spread), got {self.min_valid}")
        if not 0 <= self.max_failure_rate <= 1:
            raise ValueError(f"max_failure_rate must lie in [0, 1], got {self.max_failure_rate}")


# A run may go on with other values of these: they change its speed and patience, or what is reported.
_FREE = {"prompts_per_wave", "micro_batch", "retries", "max_failure_rate", "max_mismatch", "measure_every"}


def decisive(config: TrainerConfig) -> dict[str, Any]:
    """The settings that a run has to keep to, as JSON has them."""
    return {name: value for name, value in asdict(config).items() if name not in _FREE}
