"""The reference trainer: on-policy GRPO of the full model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rewardmesh.trainer_client.distributed.overlap import SharedOverlap
from rewardmesh.trainer_client.distributed.ranks import ALONE, Ranks
from rewardmesh.trainer_client.grpo.losses import task_weights
from rewardmesh.trainer_client.interference.gradients import GradientReport
from rewardmesh.trainer_client.logs.log import Log
from rewardmesh.trainer_client.mixing.mixture import GroupResult
from rewardmesh.trainer_client.policy.generation import Generation
from rewardmesh.trainer_client.policy.mismatch import Mismatch
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.rollout import Scorer
from rewardmesh.trainer_client.training.accumulate import Accumulation
from rewardmesh.trainer_client.training.asking import Asking
from rewardmesh.trainer_client.training.checkpoint import CheckpointError
from rewardmesh.trainer_client.training.config import TrainerConfig, decisive
from rewardmesh.trainer_client.training.credit import Credit
from rewardmesh.trainer_client.training.descent import Descent
from rewardmesh.trainer_client.training.drawing import Drawing
from rewardmesh.trainer_client.training.group import Group
from rewardmesh.trainer_client.training.measure import measured
from rewardmesh.trainer_client.training.metrics import StepMetrics, task_metrics
from rewardmesh.trainer_client.training.overlap import Overlap
from rewardmesh.trainer_client.training.records import records
from rewardmesh.trainer_client.training.run import run
from rewardmesh.trainer_client.training.submitting import Submitting, submitting
from rewardmesh.trainer_client.training.vanilla import Vanilla


class Trainer:
    """Draws prompts, samples, has the samples scored, and takes one gradient step; then samples from the new policy.

    Attributes:
        policy: What is trained.
        taken: How many steps have been taken: the number of the next one.
        whole: False while a step is being taken that cannot be taken back.
    """

    def __init__(
        self,
        policy: Policy,
        generation: Generation,
        scorer: Scorer | Submitting,
        mixture: Drawing,
        config: TrainerConfig,
        logs: Sequence[Log] = (),
        ranks: Ranks = ALONE,
    ) -> None:
        """Prepares training.

        Args:
            policy: What is trained.
            generation: Samples from it.
            scorer: Judges the samples; one without `submit` is called on threads.
            mixture: Where prompts come from.
            config: Everything else.
            logs: Told of every step.
            ranks: The processes that train together, each with a trainer made alike; see `distributed`.

        Raises:
            ValueError: Several processes are to do what only one can.
        """
        if ranks.world > 1 and (config.vanilla or config.measure_every):
            raise ValueError("vanilla updates and measured gradients are for one process")
        self.policy = policy
        self.taken = 0
        self.whole = True
        self._generation = generation
        self._scorer = submitting(scorer)
        self._mixture = mixture
        self._config = config
        self._logs = logs
        self._ranks = ranks
        self._descent = Descent(policy, config)
        self._vanilla = Vanilla(policy, self._descent, config.vanilla, config.norm) if config.vanilla else None

    def step(self) -> StepMetrics:
        """One step on fresh prompts, from the newest policy.

        What is raised before the optimizer's step leaves weights, optimizer and mixture as they were: the step can be
        taken again.

        Raises:
            RewardsFailedError: Too many rewards failed.
            StalePolicyError: Generation answered with other weights than the newest.
            MismatchError: It sampled from another distribution than the policy's.
        """
        started = time.perf_counter()
        before = self._mixture.state_dict()
        asking = Asking(self._scorer, self._config.retries)
        credit = Credit(self._config)
        overlap = self._overlap(asking, credit)
        self._descent.begin()
        try:
            trained, mismatch, gradients = self._accumulate(overlap)
            norm = self._descent.clip() if trained and self._vanilla is None else None
        except BaseException:
            asking.cancel()
            self._mixture.load_state_dict(before)
            self._descent.begin()
            raise
        self.whole = False
        if trained:
            if self._vanilla is None:
                self._descent.step()
            else:
                norm = self._vanilla.update(trained)
            self._generation.sync()
        groups = overlap.groups
        self._mixture.observe(self.taken, [GroupResult(group.draw, group.rewards) for group in groups])
        spent = time.perf_counter() - started - sum(overlap.seconds.values())
        metrics = StepMetrics(
            step=self.taken,
            tasks=task_metrics(groups),
            gradient_norm=norm,
            seconds={**overlap.seconds, "update": spent},
            gradients=gradients,
            redraws=overlap.redraws,
            trained=len(trained),
            mismatch=mismatch,
        )
        self.taken += 1
        self.whole = True
        for log in self._logs:
            log.step(metrics, records(metrics.step, groups))
        return metrics

    def run(self, steps: int, out: Path | None = None, *, checkpoint_every: int = 20) -> None:
        """Trains until `steps` steps are taken; with a folder, with checkpoints, and from its newest one on.

        Raises:
            CheckpointError: The folder's checkpoint is damaged or of another run.
            RewardsFailedError: Too many rewards failed.
        """
        if out is not None:
            run(self, steps, out, self._logs, checkpoint_every)
            return
        while self.taken < steps:
            self.step()

    def state_dict(self) -> dict[str, Any]:
        """All that the next steps depend on but the configuration; tensors are not copied.

        Random numbers come from the seed and the step. Torch's own generator is kept for generations that use it.
        """
        return {
            "taken": self.taken,
            "version": self.policy.version,
            "model": self.policy.model.state_dict(),
            "descent": self._descent.state_dict(),
            "mixture": dict(self._mixture.state_dict()),
            "random": torch.get_rng_state(),
            "config": decisive(self._config),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state_dict` was of.

        Raises:
            CheckpointError: It was of another model or mixture, or trained otherwise.
        """
        ours = decisive(self._config)
        changed = [name for name, value in ours.items() if state["config"].get(name) != value]
        if changed:
            name = changed[0]
            raise CheckpointError(
                f"the checkpoint was trained with {name}={state['config'].get(name)!r}, now it is {ours[name]!r}. "
                "Train in another folder, or as before"
            )
        try:
            self.policy.model.load_state_dict(state["model"])
            self._descent.load_state_dict(state["descent"])
            self._mixture.load_state_dict(state["mixture"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint is of another model or other prompts: {error}") from error
        torch.set_rng_state(state["random"])
        self.taken, self.policy.version = state["taken"], state["version"]
        self._generation.sync()

    @property
    def descent(self) -> Descent:
        """The optimizer and its schedule."""
        return self._descent

    def _overlap(self, asking: Asking, credit: Credit) -> Overlap:
        parts = (self._generation, self._mixture, asking, credit.assess, self._config, self.taken, self.policy.version)
        return Overlap(*parts) if self._ranks.world == 1 else SharedOverlap(self._ranks, *parts)

    def _accumulate(self, overlap: Overlap) -> tuple[list[Group], Mismatch | None, GradientReport | None]:
        """Adds up the gradient of the groups that teach something; returns these, and what was measured of them."""
        config = self._config
        accumulation = Accumulation(self.policy, config.norm, config.micro_batch, config.importance_cap, self._ranks)
        balanced = config.norm == "task_balanced"
        later = balanced or self._vanilla is not None
        trained: list[Group] = []
        for group in overlap.ready(all_at_once=later):
            if group.advantages is not None:
                trained.append(group)
                if not later:
                    accumulation.add(group)
        factors = [1.0] * len(trained)
        if balanced:
            factors = task_weights([group.draw.prompt.task for group in trained]).tolist()
            for group, factor in zip(trained, factors, strict=True):
                accumulation.add(group, factor)
        accumulation.finish()
        mismatch = accumulation.mismatch.result()
        mismatch.check(config.max_mismatch)
        found = mismatch if mismatch.tokens else None
        if not (trained and config.measure_every) or self.taken % config.measure_every:
            return trained, found, None
        scaled = [factor * accumulation.scale for factor in factors]
        return trained, found, measured(self.policy, config.norm, config.micro_batch, trained, scaled)
