"""Descent: gradients become new weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LinearLR

from rewardmesh.trainer_client.policy.parts import PartRates
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.training.config import TrainerConfig


class GradientError(ArithmeticError):
    """A gradient is no number: no step can be taken."""


class Descent:
    """Adam over the parts of a policy that are trained, and its learning rates over time.

    Attributes:
        parameters: What is trained.
    """

    def __init__(self, policy: Policy, config: TrainerConfig) -> None:
        """Freezes the parts that have no learning rate."""
        everywhere = PartRates(config.learning_rate, config.learning_rate, config.learning_rate)
        groups = policy.parameter_groups(config.rates or everywhere)
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self._policy = policy
        self._longest = config.max_gradient_norm
        self._optimizer = torch.optim.Adam(groups)
        end = 0.1 if config.decay_steps else 1.0
        self._schedule = LinearLR(self._optimizer, 1.0, end, total_iters=max(1, config.decay_steps))

    def begin(self) -> None:
        """Forgets all gradients."""
        self._optimizer.zero_grad()

    def clip(self) -> float:
        """Shortens the gradient, and returns how long it was. Raises GradientError if that is no number."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm  # of a model in pieces
        if not norm.isfinite():
            text = f"the gradient's norm is {float(norm)}: no step can be taken, and the weights stay as they are"
            raise GradientError(f"{text}; a lower learning rate may help, or a wider type than {norm.dtype}")
        torch.nn.utils.clip_grads_with_norm_(self.parameters, self._longest, norm)
        return float(norm)

    def step(self) -> None:
        """Takes the step: the policy's weights have a new version."""
        self._optimizer.step()
        self._schedule.step()
        self._policy.version += 1

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Adam."""
        return self._optimizer

    def state_dict(self) -> dict[str, Any]:
        """The optimizer and where it is on its schedule; tensors are not copied."""
        return {"optimizer": self._optimizer.state_dict(), "schedule": self._schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self._optimizer.load_state_dict(dict(state["optimizer"]))
        self._schedule.load_state_dict(dict(state["schedule"]))
