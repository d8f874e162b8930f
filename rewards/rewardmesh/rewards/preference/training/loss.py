"""What training a reward model minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

# arXiv 2312.09244: Bradley-Terry fixes differences of scores only; this keeps their mean near 0.
CENTRING = 0.01


def bradley_terry_loss(chosen: Tensor, rejected: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """The mean of -log sigmoid(r_c - r_r - margin) + 0.01 (r_c + r_r)^2 over pairs, in float32.

    Args:
        chosen: Raw scores [B].
        rejected: Raw scores [B].
        margin: By how much the chosen one should win (Llama 2, arXiv 2307.09288, equation 2), [B] or one number.
    """
    chosen, rejected = chosen.float(), rejected.float()
    margin = torch.as_tensor(margin, dtype=torch.float32, device=chosen.device)
    return (-logsigmoid(chosen - rejected - margin) + CENTRING * (chosen + rejected) ** 2).mean()
