"""Where completions come from: a protocol, and the policy's own model behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.decoding import decode
from rewardmesh.trainer_client.policy.encoded import Encoded
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.rollout import Prompt


class Generation(Protocol):
    """Samples from the policy that is trained."""

    def generate(
        self, prompts: Sequence[Prompt], seed: int, finished: Callable[[Sequence[Completion]], None]
    ) -> list[Completion]:
        """Samples a group of completions of each prompt.

        Args:
            prompts: The prompts.
            seed: The same weights, prompts and seed give the same completions.
            finished: Called with completions as they end, each exactly once.

        Returns:
            All of them, ordered by prompt and number.
        """
        ...

    def sync(self) -> None:
        """Takes over the policy's newest weights. Called after every optimizer step."""
        ...


class HfGeneration:
    """The trained model itself, token by token: whatever the trainer computes, this computes too.

    Args:
        policy: Sampled from as it is at the moment.
        config: How.
    """

    def __init__(self, policy: Policy, config: SamplingConfig) -> None:
        self._policy = policy
        self._config = config

    def generate(
        self, prompts: Sequence[Prompt], seed: int, finished: Callable[[Sequence[Completion]], None]
    ) -> list[Completion]:
        """As `Generation.generate`, all prompts in one batch."""
        generator = torch.Generator(self._policy.device).manual_seed(seed)

        def choose(distribution: Tensor) -> Tensor:
            return torch.multinomial(distribution.exp(), 1, generator=generator)[:, 0]

        encoded = [self._policy.encode(prompt) for prompt in prompts]
        config = self._config
        return decode(self._policy, encoded, config.group_size, config.max_tokens, choose, finished)

    def sync(self) -> None:
        """Nothing to do: the weights are the same tensors."""


def greedy(policy: Policy, prompts: Sequence[Encoded], max_tokens: int) -> list[Completion]:
    """The likeliest token at every step, one completion of each prompt. For evaluation: nothing is trained on these."""
    return decode(policy, prompts, 1, max_tokens, lambda distribution: distribution.argmax(dim=1), lambda _: None)
