"""GRPO as it is usually run, to compare with: several updates per batch, held back by a clip and a KL term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class VanillaConfig:
    """How the updates are held back.

    Attributes:
        updates: Optimizer steps per batch; at least 1.
        clip_low: How far the ratio of new to old probability may fall below 1 before it stops counting, in [0, 1].
        clip_high: How far it may rise above 1; at least 0.
        kl: What the divergence from the reference policy weighs; at least 0. 0.04 in DeepSeekMath (arXiv 2402.03300).

    Raises:
        ValueError: A setting is out of range.
    """

    updates: int = 4
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl: float = 0.04

    def __post_init__(self) -> None:
        if self.updates < 1 or not 0 <= self.clip_low <= 1 or self.clip_high < 0 or self.kl < 0:
            raise ValueError(
                "updates must be at least 1, clip_low in [0, 1], clip_high and kl at least 0, got "
                f"{self.updates}, {self.clip_low}, {self.clip_high} and {self.kl}"
            )


class VanillaLoss(NamedTuple):
    """The loss and what held it back.

    Attributes:
        loss: Scalar, with gradient.
        clipped: How many tokens the clip kept from counting.
        kl: The divergence from the reference, in nats, added up over the tokens.
    """

    loss: Tensor
    clipped: int
    kl: float


def vanilla_loss(
    log_probs: Tensor,
    token_mask: Tensor,
    advantages: Tensor,
    scales: Tensor,
    old_log_probs: Tensor,
    config: VanillaConfig,
    reference_log_probs: Tensor | None = None,
) -> VanillaLoss:
    """The clipped surrogate with KL term (arXiv 2402.03300, equations 3 and 4), or a micro-batch's share of it.

        -sum_i scale_i sum_j [ min(ratio_ij A_i, clip(ratio_ij) A_i) - kl * (exp(d_ij) - d_ij - 1) ]

    with ratio = pi / pi_old and d = log pi_reference - log pi. The loss adds up over micro-batches.

    Args:
        log_probs: [completions, tokens]: of the tokens that were sampled, by the policy that is updated.
        token_mask: [completions, tokens], bool: True up to and including EOS.
        advantages: [completions].
        scales: [completions]: what each token counts: `group_shares` of ones, times `final_scale`. Groups without
            spread and failed completions have 0 here, for the KL term too.
        old_log_probs: [completions, tokens]: by the policy that sampled.
        config: Clip and KL.
        reference_log_probs: [completions, tokens]; may be left out where `config.kl` is 0.

    Raises:
        ValueError: The KL term counts and there is no reference.
    """
    if config.kl and reference_log_probs is None:
        raise ValueError("a KL term needs the reference policy's log-probabilities")
    kept = torch.where(token_mask, log_probs, 0.0)
    ratio = torch.exp(kept - torch.where(token_mask, old_log_probs, 0.0).to(kept.dtype))
    gain = advantages.to(kept.dtype)[:, None]
    held = ratio.clamp(1 - config.clip_low, 1 + config.clip_high) * gain
    free = ratio * gain
    objective = torch.minimum(free, held)
    divergence = torch.zeros_like(kept)
    if config.kl and reference_log_probs is not None:
        apart = torch.where(token_mask, reference_log_probs, 0.0).to(kept.dtype) - kept
        divergence = apart.exp() - apart - 1
        objective = objective - config.kl * divergence
    counted = token_mask * scales.to(kept.dtype)[:, None]
    with torch.no_grad():
        clipped = int(((held < free) & (counted != 0)).sum())
        total = float((divergence * (counted != 0)).sum())
    return VanillaLoss(-(objective * counted).sum(), clipped, total)
