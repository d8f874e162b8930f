"""A text model small enough to be trained from nothing on a laptop in a minute, and the tokenizer that goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, Qwen2Config, Qwen2Model

from rewardmesh.models.chat import TURN_END, TURN_START

PAD = "<|endoftext|>"
# Four times Qwen's .02: at this width it learns several times faster.
INITIALIZER_RANGE = 0.08


def tiny_tokenizer(texts: Iterable[str], vocabulary: int = 1024, specials: Sequence[str] = ()) -> Tokenizer:
    """A byte-level BPE of at most `vocabulary` tokens, learned from `texts`. Encodes any text; has ChatML's tokens.

    Args:
        texts: What it will be good at.
        vocabulary: At most so many tokens; all 256 bytes are among them.
        specials: More control tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, TURN_START, TURN_END, *specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tiny_text_model(vocabulary: int, layers: int = 1) -> PreTrainedModel:
    """A Qwen2 of about 0.3 million parameters and random weights (from torch's global generator).

    One layer trains fastest, and generalises best from what a minute can show it.
    """
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        initializer_range=INITIALIZER_RANGE,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    return Qwen2Model(config)
