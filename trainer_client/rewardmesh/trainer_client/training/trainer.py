"""The reference trainer: on-policy GRPO of the full model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch.optim.lr_scheduler import LinearLR

from rewardmesh.trainer_client.grpo.losses import task_weights
from rewardmesh.trainer_client.logs.log import Log
from rewardmesh.trainer_client.mixing.mixture import GroupResult
from rewardmesh.trainer_client.policy.generation import Generation
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.rollout import Scorer
from rewardmesh.trainer_client.training.accumulate import Accumulation
from rewardmesh.trainer_client.training.asking import Asking
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.credit import Credit
from rewardmesh.trainer_client.training.drawing import Drawing
from rewardmesh.trainer_client.training.group import Group
from rewardmesh.trainer_client.training.metrics import StepMetrics, task_metrics
from rewardmesh.trainer_client.training.overlap import Overlap
from rewardmesh.trainer_client.training.records import records
from rewardmesh.trainer_client.training.submitting import Submitting, submitting


class Trainer:
    """Draws prompts, samples, has the samples scored, and takes one gradient step; then samples from the new policy.

    Attributes:
        policy: What is trained.
        taken: How many steps have been taken: the number of the next one.
    """

    def __init__(
        self,
        policy: Policy,
        generation: Generation,
        scorer: Scorer | Submitting,
        mixture: Drawing,
        config: TrainerConfig,
        logs: Sequence[Log] = (),
    ) -> None:
        """Prepares training.

        Args:
            policy: What is trained.
            generation: Samples from it.
            scorer: Judges the samples; one without `submit` is called on threads.
            mixture: Where prompts come from.
            config: Everything else.
            logs: Told of every step.
        """
        self.policy = policy
        self.taken = 0
        self._generation = generation
        self._scorer = submitting(scorer)
        self._mixture = mixture
        self._config = config
        self._logs = logs
        self._parameters = [p for p in policy.model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adam(self._parameters, lr=config.learning_rate)
        end = 0.1 if config.decay_steps else 1.0
        self._schedule = LinearLR(self._optimizer, 1.0, end, total_iters=max(1, config.decay_steps))

    def step(self) -> StepMetrics:
        """One step on fresh prompts, from the newest policy.

        Whatever is raised, weights, optimizer and mixture are as they were before: the step can be taken again.

        Raises:
            RewardsFailedError: Too many rewards failed.
            StalePolicyError: Generation answered with other weights than the newest.
        """
        started = time.perf_counter()
        before = self._mixture.state_dict()
        asking = Asking(self._scorer, self._config.retries)
        credit = Credit(self._config)
        overlap = Overlap(
            self._generation, self._mixture, asking, credit.assess, self._config, self.taken, self.policy.version
        )
        self._optimizer.zero_grad()
        try:
            trained = self._accumulate(overlap)
            norm = self._clip() if trained else None
        except BaseException:
            asking.cancel()
            self._mixture.load_state_dict(before)
            self._optimizer.zero_grad()
            raise
        if norm is not None:
            self._optimizer.step()
            self._schedule.step()
            self.policy.version += 1
            self._generation.sync()
        groups = overlap.groups
        self._mixture.observe(self.taken, [GroupResult(group.draw, group.rewards) for group in groups])
        spent = time.perf_counter() - started - sum(overlap.seconds.values())
        metrics = StepMetrics(
            step=self.taken,
            tasks=task_metrics(groups),
            gradient_norm=norm,
            seconds={**overlap.seconds, "update": spent},
            redraws=overlap.redraws,
            trained=len(trained),
        )
        self.taken += 1
        for log in self._logs:
            log.step(metrics, records(metrics.step, groups))
        return metrics

    def _accumulate(self, overlap: Overlap) -> list[Group]:
        """Adds up the gradient of the groups that teach something, and returns them."""
        accumulation = Accumulation(self.policy, self._config.norm, self._config.micro_batch)
        balanced = self._config.norm == "task_balanced"
        trained: list[Group] = []
        for group in overlap.ready(all_at_once=balanced):
            if group.advantages is not None:
                trained.append(group)
                if not balanced:
                    accumulation.add(group)
        if balanced:
            factors = task_weights([group.draw.prompt.task for group in trained])
            for group, factor in zip(trained, factors.tolist(), strict=True):
                accumulation.add(group, factor)
        accumulation.finish()
        return trained

    def _clip(self) -> float:
        """Shortens the gradient, and returns how long it was. Raises RuntimeError if that is no number."""
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._config.max_gradient_norm, error_if_nonfinite=True)
        return float(norm)
