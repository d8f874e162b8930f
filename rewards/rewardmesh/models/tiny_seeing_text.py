"""A model of text and images small enough to be trained from nothing on a CPU in minutes, as a reward model's base."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, Qwen2VLImageProcessorPil, Qwen3VLConfig, Qwen3VLModel

from rewardmesh.models.tiny_text import INITIALIZER_RANGE, tiny_tokenizer

IMAGE_START, IMAGE_PAD, IMAGE_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"
IMAGE_SIDE = 32
_PATCH, _MERGE = 8, 2


def seeing_tokenizer(texts: Iterable[str], vocabulary: int = 512) -> Tokenizer:
    """As `tiny_tokenizer`, with Qwen-VL's tokens around and for images."""
    return tiny_tokenizer(texts, vocabulary, (IMAGE_START, IMAGE_PAD, IMAGE_END))


def tiny_seeing_model(tokenizer: Tokenizer) -> PreTrainedModel:
    """A Qwen3-VL without language head, 0.3 million parameters, random weights (from torch's global generator).

    It reads images of 32 pixels a side as 4 tokens; larger ones take more.
    """
    vision: dict[str, Any] = {
        "depth": 1,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "patch_size": _PATCH,
        "spatial_merge_size": _MERGE,
        "temporal_patch_size": 1,  # still images: no need to show every patch twice
        "out_hidden_size": 96,
        "num_position_embeddings": (IMAGE_SIDE // _PATCH) ** 2,
        "deepstack_visual_indexes": [0],
        "initializer_range": INITIALIZER_RANGE,
    }
    text: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 24,
        "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 4, 4]},
        "initializer_range": INITIALIZER_RANGE,
        "attention_dropout": 0.0,
    }
    known = tokenizer.get_vocab()
    config = Qwen3VLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=known[IMAGE_PAD],
        vision_start_token_id=known[IMAGE_START],
        vision_end_token_id=known[IMAGE_END],
    )
    model = Qwen3VLModel(config)
    # As large as what a patch's pixels become: it would take long to grow where places matter.
    torch.nn.init.normal_(cast(torch.nn.Embedding, model.visual.pos_embed).weight)
    return model


def save_image_processor(folder: Path) -> None:
    """Writes the `preprocessor_config.json` that goes with `tiny_seeing_model`."""
    block = _PATCH * _MERGE
    Qwen2VLImageProcessorPil(
        patch_size=_PATCH,
        temporal_patch_size=1,
        merge_size=_MERGE,
        min_pixels=block * block,
        max_pixels=4 * IMAGE_SIDE * IMAGE_SIDE,  # a larger image is shrunk to this
    ).save_pretrained(folder)
