"""A text reward model small enough to train on a laptop in seconds, and the tokenizer that goes with it."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForSequenceClassification

from rewardmesh.models.text_tokenizer import TURN_END, TURN_START

PAD = "<|endoftext|>"


def tiny_tokenizer(texts: Iterable[str], vocabulary: int = 1024) -> Tokenizer:
    """A byte-level BPE of at most `vocabulary` tokens, learned from `texts`. Encodes any text; has ChatML's tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tiny_classifier(vocabulary: int) -> PreTrainedModel:
    """A Qwen2 with one label, about 0.25 million parameters and random weights (from torch's global generator).

    One layer trains fastest, and is enough for what it can learn in seconds.
    """
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        num_labels=1,  # pyright: ignore[reportCallIssue] - taken by the base class, which the stub leaves out
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    return Qwen2ForSequenceClassification(config)
