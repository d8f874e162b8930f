"""Less reward for completions that come near the length limit."""

from __future__ import annotations

import torch
from torch import Tensor


def overlong_penalty(lengths: Tensor, limit: int, buffer: int, factor: float = 1.0) -> Tensor:
    """What to add to the rewards: DAPO's soft overlong punishment (arXiv 2503.14476, equation 13).

    0 up to `limit - buffer` tokens, then falling linearly to `-factor` at `limit`. A trainer leaves it off unless told
    otherwise: MiMo-VL knows no such thing, and where reasoning has to lengthen answers it works against it.

    Args:
        lengths: Tokens of completions, EOS included; any shape. A completion that was cut off has `limit` tokens.
        limit: The most tokens a completion may have.
        buffer: Over how many tokens the penalty grows, in [1, limit].
        factor: The largest penalty; at least 0. At 1, DAPO's, rewards in [0, 1] become rewards in [-1, 1].

    Returns:
        Float64, shaped as `lengths`, in [-factor, 0].

    Raises:
        ValueError: `buffer` or `factor` is out of range.
    """
    if not 1 <= buffer <= limit or factor < 0:
        raise ValueError(f"buffer must be in [1, {limit}] and factor at least 0, got {buffer} and {factor}")
    over = (lengths.to(torch.float64) - (limit - buffer)) / buffer
    return -factor * over.clamp(0.0, 1.0)
