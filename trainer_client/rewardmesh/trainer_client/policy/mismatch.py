"""How far the engine that samples is from the model that learns, and what can be done about it.

Another engine computes the same policy with other kernels in another precision. Its log-probabilities are a little off,
so that training on its samples is a little off-policy: measured every step, and refused or corrected beyond a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


class MismatchError(RuntimeError):
    """The sampler's log-probabilities are too far from the trainer's: its samples are another policy's."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Differences between the log-probabilities of sampled tokens, the trainer's less the sampler's.

    Attributes:
        tokens: How many were compared.
        mean: Mean absolute difference per token, in nats.
        largest: The largest absolute one; infinite where one is not a number.
        kl: Mean over completions of r - 1 - log r, where r is the probability of the whole completion to the trainer
            over that to the sampler: an unbiased estimate, never negative, of KL(sampler || trainer) in nats
            (Schulman, "Approximating KL divergence", 2020: k3).
    """

    tokens: int
    mean: float
    largest: float
    kl: float

    def check(self, largest_mean: float) -> None:
        """Refuses a mean difference above a bound.

        Raises:
            MismatchError: It is larger, or not a number.
        """
        if not self.mean <= largest_mean:
            raise MismatchError(
                f"sampler and trainer differ by {self.mean:.2g} nats per token on {self.tokens} tokens (largest "
                f"{self.largest:.2g}, KL {self.kl:.2g} per completion); at most {largest_mean:g} is allowed. Are the "
                "weights in sync, and precision, bans and temperature the same?"
            )


class MismatchMeter:
    """Adds up the differences of a step, batch by batch."""

    def __init__(self) -> None:
        self._completions = 0
        self._tokens = 0
        self._sum = 0.0
        self._largest = 0.0
        self._kl = 0.0

    @torch.no_grad()
    def add(self, trained: Tensor, sampled: Tensor, mask: Tensor) -> None:
        """Compares completions.

        Args:
            trained: [completions, tokens], padded on the right: log-probabilities as the trainer finds them.
            sampled: [completions, tokens]: as they were sampled.
            mask: [completions, tokens], bool: False on padding.
        """
        ratio = torch.where(mask, trained.double() - sampled.double(), 0.0)
        whole = ratio.sum(dim=1)
        found = torch.stack([ratio.abs().sum(), ratio.abs().amax(), (whole.expm1() - whole).sum(), mask.sum()])
        total, largest, kl, tokens = found.tolist()
        self._completions += len(trained)
        self._tokens += int(tokens)
        self._sum += total
        self._largest = max(self._largest, math.inf if math.isnan(largest) else largest)
        self._kl += kl

    def __add__(self, other: MismatchMeter) -> MismatchMeter:
        """What both have compared."""
        both = MismatchMeter()
        both._completions = self._completions + other._completions
        both._tokens = self._tokens + other._tokens
        both._sum = self._sum + other._sum
        both._largest = max(self._largest, other._largest)
        both._kl = self._kl + other._kl
        return both

    def result(self) -> Mismatch:
        """What was found so far; all zero where nothing was compared."""
        tokens, completions = max(1, self._tokens), max(1, self._completions)
        return Mismatch(self._tokens, self._sum / tokens, self._largest, self._kl / completions)


def importance_weights(trained: Tensor, sampled: Tensor, cap: float) -> Tensor:
    """Truncated importance weights of sampled tokens: min(p_trainer / p_sampler, cap), without gradient.

    A loss whose log-probabilities are multiplied by these has the gradient of the trainer's own policy, up to the
    truncation, which bounds its variance (Ionides, "Truncated importance sampling", 2008).

    Args:
        trained: [completions, tokens]: log-probabilities as the trainer finds them.
        sampled: [completions, tokens]: as they were sampled; padded like `trained`.
        cap: The largest weight, at least 1.

    Returns:
        [completions, tokens], float32.

    Raises:
        ValueError: The cap is below 1: it would cut the weights of tokens that do not differ.
    """
    if not cap >= 1:
        raise ValueError(f"the largest importance weight must be at least 1, got {cap}")
    return (trained.detach().float() - sampled.float()).exp().clamp(max=cap)
