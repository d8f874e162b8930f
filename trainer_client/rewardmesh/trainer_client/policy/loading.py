"""Loads a checkpoint: the model with float32 weights, and the reader that goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationConfig,
    PreTrainedModel,
)

from rewardmesh.models.chat import ChatTokenizer
from rewardmesh.trainer_client.policy.chat_reader import ChatReader
from rewardmesh.trainer_client.policy.looking import ByProcessor, Looker, QwenEye


def load(folder: Path) -> tuple[PreTrainedModel, ChatReader]:
    """Loads a local checkpoint folder, safetensors only.

    Raises:
        OSError: A file is missing.
        ValueError: The checkpoint lacks weights, or a file cannot be used.
        Exception: Whatever transformers and safetensors raise for damaged files.
    """
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    sees = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    model, info = kind.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=torch.float32,
        output_loading_info=True,
    )
    # transformers would go on with random numbers in their place
    if absent := sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]])):
        raise ValueError(f"the checkpoint lacks {', '.join(absent[:3])}{', ...' if absent[3:] else ''}")
    return model, reader_of(model, folder)


def reader_of(model: PreTrainedModel, folder: Path) -> ChatReader:
    """The reader in a checkpoint's folder for its model."""
    config: Any = model.config
    looker: Looker | None = None
    if hasattr(config, "vision_config"):
        qwen = hasattr(model.base_model, "get_rope_index")
        looker = QwenEye(folder, model) if qwen else ByProcessor(folder)
    chat = ChatTokenizer(folder, looker.placeholder if looker else None)
    placeholders = [
        value
        for name, value in vars(config).items()
        if name.endswith(("_token_id", "_token_index")) and name != "eos_token_id" and isinstance(value, int)
    ]
    return ChatReader(chat, looker, _ends(model, folder), placeholders)


def _ends(model: PreTrainedModel, folder: Path) -> list[int]:
    """The ids that the checkpoint says end a generation."""
    found: Any = None
    if (folder / "generation_config.json").exists():
        found = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    if found is None:
        found = getattr(model.config.get_text_config(), "eos_token_id", None)
    return [found] if isinstance(found, int) else list(found or [])
