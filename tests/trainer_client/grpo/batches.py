"""Random batches for property tests."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

LONGEST = 7


class Batch(NamedTuple):
    """Rewards, which of them count, and lengths; all [groups, size]."""

    rewards: Tensor
    scored: Tensor
    lengths: Tensor


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Up to 4 groups of up to 6 completions."""
    groups, size = draw(st.integers(1, 4)), draw(st.integers(1, 6))

    def table(cell: st.SearchStrategy[Any], dtype: torch.dtype) -> Tensor:
        row = st.lists(cell, min_size=size, max_size=size)
        return torch.tensor(draw(st.lists(row, min_size=groups, max_size=groups)), dtype=dtype)

    rewards = table(st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1), torch.float64)
    return Batch(rewards, table(st.booleans(), torch.bool), table(st.integers(1, LONGEST), torch.int64))


def log_probs_and_mask(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """[completions, tokens]: a leaf to differentiate by, and which tokens there are."""
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(lengths.numel(), LONGEST, generator=generator, dtype=torch.float64).requires_grad_()
    return log_probs, torch.arange(LONGEST) < lengths.flatten()[:, None]
