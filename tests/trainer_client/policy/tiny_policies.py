"""Checkpoints of the kinds of model that are trained, with random weights, a few thousand parameters each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from rewardmesh.models.chat import TURN_END
from rewardmesh.models.tiny_text import PAD, tiny_tokenizer

SPECIALS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<image>", "<|box_start|>")
# Rows of the vocabulary that no token has, as in Qwen's checkpoints.
SPARE = 7
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}
ROTATED: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}


LLAVA_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer() -> Tokenizer:
    return tiny_tokenizer(["where is the red square?", "what changed, and how many are there?"], 320, SPECIALS)


def save_reader(folder: Path, made: Tokenizer, template: str | None = None) -> None:
    made.save(str(folder / "tokenizer.json"))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    ends = [made.token_to_id(TURN_END), made.token_to_id(PAD)]
    GenerationConfig(eos_token_id=ends, do_sample=True, top_p=0.8, temperature=0.7).save_pretrained(folder)


def rows(made: Tokenizer) -> int:
    return made.get_vocab_size() + SPARE


def qwen2(folder: Path) -> None:
    made = tokenizer()
    Qwen2ForCausalLM(Qwen2Config(vocab_size=rows(made), **TEXT)).save_pretrained(folder)
    save_reader(folder, made)


def llama(folder: Path) -> None:
    made = tokenizer()
    LlamaForCausalLM(LlamaConfig(vocab_size=rows(made), **TEXT)).save_pretrained(folder)
    save_reader(folder, made)


def mistral(folder: Path) -> None:
    """Its layers see so few tokens back that prompts are longer."""
    made = tokenizer()
    MistralForCausalLM(MistralConfig(vocab_size=rows(made), sliding_window=6, **TEXT)).save_pretrained(folder)
    save_reader(folder, made)


def _qwen_vl_ids(made: Tokenizer) -> dict[str, Any]:
    return {
        "image_token_id": made.token_to_id("<|image_pad|>"),
        "video_token_id": made.token_to_id("<|video_pad|>"),
        "vision_start_token_id": made.token_to_id("<|vision_start|>"),
        "vision_end_token_id": made.token_to_id("<|vision_end|>"),
    }


VISION: dict[str, Any] = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 4,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 1,
    "out_hidden_size": 32,
    "initializer_range": 0.2,
}


def _save_qwen_vl(folder: Path, model: PreTrainedModel, made: Tokenizer) -> None:
    model.save_pretrained(folder)
    save_reader(folder, made)
    Qwen2VLImageProcessorPil(
        patch_size=8, temporal_patch_size=1, merge_size=2, min_pixels=256, max_pixels=48 * 48
    ).save_pretrained(folder)


def qwen2_5_vl(folder: Path) -> None:
    made = tokenizer()
    vision = {
        **VISION,
        "window_size": 32,
        "fullatt_block_indexes": [1],
    }
    text = {**TEXT, "vocab_size": rows(made), "rope_parameters": ROTATED}
    config = Qwen2_5_VLConfig(vision_config=vision, text_config=text, **_qwen_vl_ids(made))
    _save_qwen_vl(folder, Qwen2_5_VLForConditionalGeneration(config), made)


def qwen3_vl(folder: Path) -> None:
    made = tokenizer()
    vision = {
        **VISION,
        "num_position_embeddings": 36,
        "deepstack_visual_indexes": [0],
    }
    text = {**TEXT, "vocab_size": rows(made), "head_dim": 8, "rope_parameters": ROTATED}
    config = Qwen3VLConfig(vision_config=vision, text_config=text, tie_word_embeddings=True, **_qwen_vl_ids(made))
    _save_qwen_vl(folder, Qwen3VLForConditionalGeneration(config), made)


def llava(folder: Path) -> None:
    made = tokenizer()
    config = LlavaConfig(
        vision_config=_clip(),
        text_config=LlamaConfig(vocab_size=rows(made), **TEXT),
        image_token_index=made.token_to_id("<image>"),
        image_seq_length=9,
        vision_feature_layer=-1,  # else the last layer would have no part in anything
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}),
        PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, eos_token=TURN_END),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    processor.save_pretrained(folder)
    save_reader(folder, made, LLAVA_TEMPLATE)


def llava_next(folder: Path) -> None:
    """Cuts images into tiles, of a number that depends on their shape."""
    made = tokenizer()
    pinpoints = [[24, 48], [48, 24], [24, 72]]
    config = LlavaNextConfig(
        vision_config=_clip(),
        text_config=LlamaConfig(vocab_size=rows(made), **TEXT),
        image_token_index=made.token_to_id("<image>"),
        image_seq_length=9,
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
    )
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    processor = LlavaNextProcessor(
        LlavaNextImageProcessorPil(
            size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}, image_grid_pinpoints=pinpoints
        ),
        PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, eos_token=TURN_END),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    processor.save_pretrained(folder)
    save_reader(folder, made, LLAVA_TEMPLATE)


def _clip() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=24,
        patch_size=8,
        initializer_range=0.2,
    )


KINDS: dict[str, Callable[[Path], None]] = {
    "qwen2": qwen2,
    "llama": llama,
    "mistral": mistral,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "llava": llava,
    "llava_next": llava_next,
}
SEEING = ("qwen2_5_vl", "qwen3_vl", "llava", "llava_next", "words")


def checkpoint(kind: str, folder: Path, seed: int = 3) -> Path:
    """Writes one, and says where."""
    torch.manual_seed(seed)
    KINDS[kind](folder)
    return folder
