"""Reward models with random weights: what a test needs that is not about what a model has learned."""

from __future__ import annotations

import io
import json
import random
import re
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import (
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLModel,
    Qwen2Config,
    Qwen2Model,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLModel,
)

from rewardmesh.models.head import Head
from rewardmesh.models.reward_model import RewardModel
from rewardmesh.models.tiny_text import tiny_tokenizer

torch.set_num_threads(1)  # models this small gain nothing from a second core, and wait for it where others use it

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
VOCABULARY = 600


def tokenizer() -> Tokenizer:
    """A byte-level BPE with ChatML's and Qwen-VL's tokens."""
    words = re.findall(r"\w+", "the capital of Peru is Lima what a circle square red blue hello you are kind go away")
    made = tiny_tokenizer([" ".join(random.Random(seed).choices(words, k=12)) for seed in range(60)], VOCABULARY - 3)
    made.add_special_tokens(list(SPECIALS[3:]))
    return made


def save_text(folder: Path, seed: int = 0, **config: Any) -> Path:
    """A Qwen2 of 60,000 parameters."""
    fields = {
        "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0,
        "bos_token_id": None, "eos_token_id": 2,
    } | config  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _save(folder, Qwen2Model(Qwen2Config(**fields)), seed)


def save_seeing(folder: Path, seed: int = 0, family: str = "qwen3") -> Path:
    """A Qwen3-VL or a Qwen2.5-VL of 100,000 parameters."""
    vision: dict[str, Any] = {
        "depth": 2, "hidden_size": 48, "intermediate_size": 64, "num_heads": 4, "patch_size": 8,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 48,
    }  # fmt: skip
    text: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": None,
        "eos_token_id": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]},
    }  # fmt: skip
    made = tokenizer()
    pad, start, end = (made.token_to_id(token) for token in ("<|image_pad|>", "<|vision_start|>", "<|vision_end|>"))
    ids = {"image_token_id": pad, "vision_start_token_id": start, "vision_end_token_id": end}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if family == "qwen3":
            vision |= {"num_position_embeddings": 36, "deepstack_visual_indexes": [0]}
            model: PreTrainedModel = Qwen3VLModel(
                Qwen3VLConfig(vision_config=vision, text_config=text | {"head_dim": 12}, **ids)
            )
        else:
            vision |= {"fullatt_block_indexes": [1], "window_size": 32}
            model = Qwen2_5_VLModel(Qwen2_5_VLConfig(vision_config=vision, text_config=text, **ids))
        folder = _save(folder, model, seed)
    processor = Qwen2VLImageProcessorPil(
        patch_size=8, temporal_patch_size=2, merge_size=2, min_pixels=16 * 16, max_pixels=64 * 64
    )
    processor.save_pretrained(folder)
    return folder


def picture(seed: int = 0, width: int = 48, height: int = 32) -> bytes:
    """Noise, as PNG."""
    rng = random.Random(seed)
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), rng.randbytes(3 * width * height)).save(out, "PNG")
    return out.getvalue()


def _save(folder: Path, backbone: PreTrainedModel, seed: int) -> Path:
    head = Head.new(backbone.config.get_text_config().hidden_size)
    with torch.no_grad():
        for layer in head.parameters():
            layer.normal_()
    RewardModel(backbone, head).save(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    calibration = {"method": "sigmoid", "mu": 0.0, "temperature": 4.0, "data": f"seed {seed}"}
    (folder / "calibration.json").write_text(json.dumps(calibration))
    return folder
