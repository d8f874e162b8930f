"""A vision-language model of half a million parameters, to be trained from nothing on a CPU in a minute."""

from __future__ import annotations

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from rewardmesh.models.patches import PatchShape

IMAGE_SIDE = 48
PATCH = PatchShape(size=8, merge=2)
# Four times Qwen's .02: at this width it learns to see several times faster.
INITIALIZER_RANGE = 0.08


def tiny_vlm(vocab_size: int, image_token_id: int, seed: int) -> Qwen3VLForConditionalGeneration:
    """A Qwen3-VL with random weights: vision encoder, projector, language model.

    Args:
        vocab_size: The tokenizer's length.
        image_token_id: The placeholder that image features replace.
        seed: Of the weights; torch's global generator is left as it was.
    """
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "patch_size": PATCH.size,
        "spatial_merge_size": PATCH.merge,
        "temporal_patch_size": 1,  # still images: no need to show every patch twice
        "out_hidden_size": 96,
        "num_position_embeddings": (IMAGE_SIDE // PATCH.size) ** 2,
        "deepstack_visual_indexes": [0],
        "initializer_range": INITIALIZER_RANGE,
    }
    text = {
        "vocab_size": vocab_size,
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 24,
        "max_position_embeddings": 512,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 4, 4]},
        "initializer_range": INITIALIZER_RANGE,
        "attention_dropout": 0.0,
    }
    config = Qwen3VLConfig(
        vision_config=vision, text_config=text, image_token_id=image_token_id, tie_word_embeddings=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3VLForConditionalGeneration(config)
