"""The reference trainer: on-policy GRPO of the full model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LinearLR

from rewardmesh.models.vlm_prompt import VlmPrompt
from rewardmesh.trainer_client.grpo.advantages import group_advantages
from rewardmesh.trainer_client.grpo.losses import policy_loss, token_weights
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import (
    Samples,
    SamplingConfig,
    completion_log_probs,
    completion_texts,
    sample,
)
from rewardmesh.trainer_client.rollout import Prompt, RewardsFailedError, Scorer, reward, score
from rewardmesh.trainer_client.training.metrics import StepMetrics, task_metrics


@dataclass(frozen=True, slots=True)
class GrpoConfig:
    """How the policy is trained.

    Attributes:
        sampling: How completions are sampled.
        learning_rate: Adam's. Measured on the tiny model: at 1e-3 its entropy collapses.
        decay_steps: Over how many optimizer steps the learning rate falls, linearly, to a tenth; 0 to keep it. The last
            policy is then not the one that the last few noisy batches happened to push somewhere.
        max_gradient_norm: Gradients longer than this are scaled down to it.
        micro_batch: Completions per forward pass; changes memory and time, never the gradient.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    learning_rate: float = 4e-4
    decay_steps: int = 0
    max_gradient_norm: float = 1.0
    micro_batch: int = 128


@dataclass(frozen=True, slots=True)
class Batch:
    """Scored completions of a batch of prompts: all that one training step needs.

    Attributes:
        prompts: The prompts.
        encoded: The same as the model reads them.
        samples: Their completions, group by group.
        rewards: One per completion; None where the reward failed.
    """

    prompts: Sequence[Prompt]
    encoded: Sequence[VlmPrompt]
    samples: Samples
    rewards: Sequence[float | None]


class StalePolicyError(RuntimeError):
    """A batch was sampled by other weights than those it is to train."""


class Trainer:
    """Samples, has the samples scored, and takes one gradient step; then samples from the new policy.

    Attributes:
        policy: What is trained: every parameter of vision encoder, projector and language model.
        step: How many batches have been seen.
    """

    def __init__(self, policy: Policy, scorer: Scorer, config: GrpoConfig, seed: int) -> None:
        """Prepares training; `seed` is that of the sampling."""
        self.policy = policy
        self.step = 0
        self._scorer = scorer
        self._config = config
        self._generator = torch.Generator().manual_seed(seed)
        self._optimizer = torch.optim.Adam(policy.model.parameters(), lr=config.learning_rate)
        end = 0.1 if config.decay_steps else 1.0
        self._schedule = LinearLR(self._optimizer, 1.0, end, total_iters=max(1, config.decay_steps))

    def train_step(self, prompts: Sequence[Prompt]) -> StepMetrics:
        """One step on these prompts.

        Raises:
            RewardsFailedError: Every reward failed.
        """
        seconds: dict[str, float] = {}
        batch = self.collect(prompts, seconds)
        return self.update(batch, seconds)

    def collect(self, prompts: Sequence[Prompt], seconds: dict[str, float] | None = None) -> Batch:
        """Samples completions of the prompts and has them scored; notes in `seconds` how long both took.

        Raises:
            RewardsFailedError: Every reward failed.
        """
        started = time.perf_counter()
        encoded = [self.policy.encode(prompt) for prompt in prompts]
        samples = sample(self.policy, encoded, self._config.sampling, self._generator)
        rollouts = [
            prompts[row].rollout(text, i, truncated=cut, policy_version=samples.policy_version, step=self.step)
            for i, (row, text, cut) in enumerate(
                zip(
                    samples.rows.tolist(),
                    completion_texts(self.policy, samples),
                    samples.truncated.tolist(),
                    strict=True,
                )
            )
        ]
        sampled = time.perf_counter()
        verdicts = score(self._scorer, rollouts)
        rewards = [reward(rollout, verdict) for rollout, verdict in zip(rollouts, verdicts, strict=True)]
        if all(value is None for value in rewards):
            raise RewardsFailedError(f"all {len(verdicts)} rewards failed; the first: {verdicts[0].failure}")
        if seconds is not None:
            seconds["sample"] = sampled - started
            seconds["score"] = time.perf_counter() - sampled
        return Batch(prompts, encoded, samples, rewards)

    def update(self, batch: Batch, seconds: dict[str, float] | None = None) -> StepMetrics:
        """One gradient step on a scored batch of the newest policy.

        A failed rollout is left out of its group, and a group without spread out of the batch: neither is even run
        through the model, so the gradient is that of the batch without them, to the bit.

        Raises:
            StalePolicyError: The weights have changed since the batch was sampled.
        """
        started = time.perf_counter()
        samples = batch.samples
        if samples.policy_version != self.policy.version:
            raise StalePolicyError(
                f"the batch was sampled by policy {samples.policy_version}, the newest is {self.policy.version}"
            )
        shape = (len(batch.prompts), -1)
        rewards = torch.tensor([torch.nan if r is None else r for r in batch.rewards], dtype=torch.float64).reshape(
            shape
        )
        scored = ~rewards.isnan()
        lengths = samples.mask.sum(dim=1)
        advantages = group_advantages(rewards, scored)
        weights = token_weights(advantages, lengths.reshape(shape), scored).flatten()
        entropy = torch.full(lengths.shape, torch.nan)
        norm = self._descend(batch, weights, entropy) if advantages.spread.any() else None
        metrics = StepMetrics(
            step=self.step,
            tasks=task_metrics(
                [p.task for p in batch.prompts],
                rewards,
                scored,
                advantages.spread,
                lengths.reshape(shape),
                samples.truncated.reshape(shape),
                entropy.reshape(shape),
            ),
            gradient_norm=norm,
            seconds={**(seconds or {}), "update": time.perf_counter() - started},
        )
        self.step += 1
        return metrics

    def _descend(self, batch: Batch, weights: Tensor, entropy: Tensor) -> float:
        """Takes the step, fills in `entropy` of the completions it learns from, and returns the gradient's norm."""
        self._optimizer.zero_grad()
        for rows in torch.nonzero(weights)[:, 0].split(self._config.micro_batch):
            samples = batch.samples
            mask = samples.mask[rows]
            log_probs, entropies = completion_log_probs(
                self.policy, batch.encoded, samples.rows[rows], samples.tokens[rows], mask
            )
            policy_loss(log_probs, mask, weights[rows]).backward()
            entropy[rows] = entropies.sum(dim=1)
        norm = torch.nn.utils.clip_grad_norm_(
            self.policy.model.parameters(), self._config.max_gradient_norm, error_if_nonfinite=True
        )
        self._optimizer.step()
        self._schedule.step()
        self.policy.version += 1
        return float(norm)
