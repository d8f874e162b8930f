"""A tiny text checkpoint for benchmarks, with prompts of arithmetic and a reward that costs nothing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rewardmesh.contract import Message, Rollout, Score, TextPart, Verdict
from rewardmesh.models.chat import TURN_END
from rewardmesh.models.tiny_text import PAD, tiny_tokenizer
from rewardmesh.trainer_client.mixing.mixture import Draw, GroupResult
from rewardmesh.trainer_client.rollout import Prompt

VOCABULARY = 1024
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save(folder: Path, mean_length: float, hidden: int = 128, layers: int = 2) -> None:
    """A Qwen2 of random weights, half a million by default, whose completions have about so many tokens.

    At every token it ends with a probability of 1 / `mean_length`, and it writes no other special token: its head has
    a bias for these, kept beside the checkpoint, which has no place for it.
    """
    torch.manual_seed(0)
    texts = [text(number) for number in range(300)]
    tokenizer = tiny_tokenizer(texts, VOCABULARY)
    rows = tokenizer.get_vocab_size()
    config = Qwen2Config(
        vocab_size=rows, hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(TURN_END), pad_token_id=tokenizer.token_to_id(PAD),
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=TURN_END)
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    bias = torch.zeros(rows)
    special = [token for token in range(rows) if tokenizer.decode([token], skip_special_tokens=True) == ""]
    bias[special] = -1e4
    bias[tokenizer.token_to_id(TURN_END)] = torch.tensor(rows / (mean_length - 1)).log()
    torch.save(bias, folder / "bias.pt")


def biased(model: torch.nn.Module, folder: Path) -> None:
    """Gives the model's head its bias."""
    head = model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.load(folder / "bias.pt"))


def text(number: int) -> str:
    """An arithmetic question."""
    rng = Random(number)
    names = rng.sample(("apples", "pears", "plums", "figs", "nuts"), 2)
    return f"Ann has {rng.randrange(99)} {names[0]} and buys {rng.randrange(99)} {names[1]}. How many are there now?"


def prompt(number: int) -> Prompt:
    """The same as a prompt."""
    return Prompt(f"p{number}", "math", "bench", (Message("user", (TextPart(text(number)),)),), None)


def value(completion: str) -> float:
    """A reward in [0, 1] by which any two completions differ."""
    return zlib.crc32(completion.encode()) / 2**32


class InOrder:
    """Draws prompts one after the other, so that two trainers see the same ones."""

    def __init__(self) -> None:
        self.next = 0

    def draw(self, step: int, count: int) -> list[Draw]:
        """The next ones."""
        start, self.next = self.next, self.next + count
        return [Draw(prompt(number), "bench", number, False) for number in range(start, self.next)]

    def redraw(self, step: int, round: int, lost: Sequence[Draw]) -> list[Draw]:
        """None."""
        return []

    def observe(self, step: int, results: Sequence[GroupResult]) -> None:
        """Does nothing."""

    def state_dict(self) -> dict[str, int]:
        """The next number."""
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes back."""
        self.next = state["next"]


class AtOnce:
    """Answers before it is asked twice."""

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        """The verdicts, there already."""
        future: Future[list[Verdict]] = Future()
        future.set_result(verdicts(rollouts))
        return future


def verdicts(rollouts: Sequence[Rollout]) -> list[Verdict]:
    """One for each."""
    return [Verdict(rollout.id, Score(value(rollout.completion)), task=rollout.task) for rollout in rollouts]
