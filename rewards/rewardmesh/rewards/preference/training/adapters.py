"""Which weights are trained: all, all but those that see, or low-rank adapters beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

from torch import nn

from rewardmesh.models.reward_model import RewardModel

# The vision encoder and its projector, in Qwen2-VL's successors.
_VISION = "visual"


def freeze_vision(model: RewardModel) -> None:
    """Leaves the vision encoder and its projector as they are. Raises ValueError for a model that has none.

    A new head's first gradients are noise to what the encoder has learned (arXiv 2505.07263 freezes it at first, too).
    """
    vision = getattr(model.backbone, _VISION, None)
    if not isinstance(vision, nn.Module):
        raise ValueError("the base model reads text only: it has no vision encoder to freeze")
    vision.requires_grad_(False)


def add_lora(model: RewardModel, rank: int, with_vision: bool) -> Callable[[], None]:
    """Freezes the backbone and puts adapters beside its linear layers (LoRA, arXiv 2106.09685), through peft.

    Args:
        model: Its head stays as it is, and is trained.
        rank: Of the adapters, at least 1. They are scaled by 2: alpha is twice the rank.
        with_vision: Whether the vision encoder gets some as well.

    Returns:
        What merges them into the backbone's weights, to be called once, at the end.
    """
    from peft import LoraConfig, get_peft_model  # slow to import, and seldom needed

    excluded = None if with_vision else rf"(.*\.)?{_VISION}\..*"
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", exclude_modules=excluded
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in a way that it will soon not answer
        adapted: Any = get_peft_model(cast(Any, model.backbone), config)  # changes the backbone in place

    def merge() -> None:
        model.backbone = adapted.merge_and_unload()

    return merge
