"""How far the engine that samples is from the model that learns, and what can be done about it.

Another engine computes the same policy with other kernels in another precision. Its log-probabilities are a little off,
so that training on its samples is a little off-policy: measured every step, and refused or corrected beyond a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        largest: The largest absolute one.
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
        self._tokens = 0
        self._sum = 0.0
        self._largest = 0.0
        self._kls: list[float] = []

    def add(self, trained: Tensor, sampled: Sequence[Tensor]) -> None:
        """Compares completions.

        Args:
            trained: [completions, tokens], padded on the right: log-probabilities as the trainer finds them.
            sampled: [tokens] each: as they were sampled.
        """
        with torch.no_grad():
            for row, before in zip(trained.double().cpu(), sampled, strict=True):
                ratio = row[: len(before)] - before.double()
                self._tokens += len(before)
                self._sum += float(ratio.abs().sum())
                self._largest = float(torch.tensor([self._largest, float(ratio.abs().amax())]).amax())  # keeps a NaN
                whole = ratio.sum()
                self._kls.append(float(whole.expm1() - whole))

    def result(self) -> Mismatch:
        """What was found so far; all zero where nothing was compared."""
        count = max(1, len(self._kls))
        return Mismatch(self._tokens, self._sum / max(1, self._tokens), self._largest, math.fsum(self._kls) / count)


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
