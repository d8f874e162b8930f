"""Attention whose query heads share keys and values, without copies of those.

transformers repeats keys and values for every query head where it has a mask. With the heads of one group laid end to
end instead, as if they were more queries, the same kernel reads them as they are and works in larger blocks: a third
less time on a CPU, and the same sums.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "rewardmesh_grouped_sdpa"


def use_grouped_attention(backbone: PreTrainedModel) -> None:
    """Has a model that uses PyTorch's attention use this one."""
    config: Any = backbone.config
    if config._attn_implementation == "sdpa":
        backbone.set_attn_implementation(NAME)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """[B, H, T, D], [B, K, S, D] twice and [1, 1, T, S] to [B, T, H, D]; everything else goes transformers' way."""
    batch, heads, length, size = query.shape
    kept = key.shape[1]
    if attention_mask is None or attention_mask.shape[:2] != (1, 1) or heads == kept or module.training:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    times = heads // kept
    end_to_end = query.reshape(batch, kept, times * length, size)
    mask = attention_mask.repeat(1, 1, times, 1)
    out = scaled_dot_product_attention(end_to_end, key, value, attn_mask=mask, scale=scaling)
    return out.reshape(batch, heads, length, size).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
