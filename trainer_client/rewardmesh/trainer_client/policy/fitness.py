"""Which models can be trained on-policy: those that compute the same thing when they sample and when they learn."""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from rewardmesh.trainer_client.policy.encoded import Reader

# Layers that remember keys and values of each token. Others keep one state, which padding would enter.
_REMEMBERED = {"full_attention", "sliding_attention"}


def check_fitness(model: PreTrainedModel, reader: Reader) -> None:
    """Refuses what would make the policy that learns another one than that which sampled.

    Raises:
        ValueError: The model has dropout, weights that are not float32, layers without keys and values, or attends to
            images in both directions; or its reader knows tokens that it has not.
    """
    if any(_dropout(module) for module in model.modules()):
        raise ValueError("on-policy training needs a model without dropout")
    other = {str(p.dtype) for p in model.parameters() if p.dtype != torch.float32}
    if other:
        raise ValueError(f"master weights must be float32, got {sorted(other)}; choose what to compute in instead")
    config: Any = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if kinds - _REMEMBERED:
        raise ValueError(f"layers of kind {sorted(kinds - _REMEMBERED)} cannot be read from a shared prompt")
    takes = inspect.signature(model.forward).parameters
    if "token_type_ids" in takes:
        raise ValueError("a model that attends to images in both directions is not supported")
    wanted = {"position_ids", "past_key_values", "logits_to_keep"} - set(takes)
    if wanted:
        raise ValueError(f"{type(model).__name__}.forward does not take {sorted(wanted)}")
    size = vocabulary(model)
    if reader.known > size:
        raise ValueError(f"the tokenizer has {reader.known} tokens and the model {size}: they do not belong together")


def vocabulary(model: PreTrainedModel) -> int:
    """How many ids the model gives logits for."""
    return cast(Any, model.get_output_embeddings()).weight.shape[0]


def _dropout(module: nn.Module) -> bool:
    if isinstance(module, (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)):
        return module.p > 0
    named = (value for name, value in vars(module).items() if "dropout" in name or "drop_path" in name)
    return any(isinstance(value, float) and value > 0 for value in named)
