"""Trains the demo reward model of text, from nothing, in about a minute."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from rewardmesh.models.tiny_text import tiny_text_model, tiny_tokenizer
from rewardmesh.rewards.preference.demo.pairs import demo_pairs, texts
from rewardmesh.rewards.preference.training.fit import Options
from rewardmesh.rewards.preference.training.train import Report, train

STEPS = 300
HELD_OUT_PAIRS = 800
VOCABULARY = 1024
# High, as the model is tiny and starts from random weights.
OPTIONS = Options(batch=16, learning_rate=5e-4, warm_up=0.08)

README = """A demo reward model of RewardMesh.

Trained for a minute on synthetic pairs that a program wrote. It shows the machinery at work: it tells manners apart
(rude, rambling, evasive, repeated, truncated, garbled), cannot tell a right answer from a wrong one, and knows nothing
of human preference. Do not train a policy with it.
"""


def train_demo(out: Path, seed: int = 0, steps: int = STEPS, held_out: int = HELD_OUT_PAIRS) -> Report:
    """Makes pairs, learns a tokenizer and a model from them, and writes a calibrated checkpoint folder.

    Args:
        out: The folder, made if need be; files of the same names are replaced.
        seed: The same seed gives the same weights on the same machine. Torch's own generator is left as it was.
        steps: Optimiser steps, 16 pairs each.
        held_out: Pairs to evaluate on and to calibrate with, in other wordings.
    """
    pairs = demo_pairs(steps * OPTIONS.batch, seed)
    others = demo_pairs(held_out, seed, held_out=True)
    with tempfile.TemporaryDirectory() as folder, one_thread(), torch.random.fork_rng(devices=[]):
        base = Path(folder)
        torch.manual_seed(seed)
        tokenizer = tiny_tokenizer(texts(pairs), VOCABULARY)
        tokenizer.save(str(base / "tokenizer.json"))
        tiny_text_model(tokenizer.get_vocab_size()).save_pretrained(base)
        report = train(pairs, others, base, out, replace(OPTIONS, seed=seed))
    (out / "README.md").write_text(README, encoding="utf-8")
    return report


@contextmanager
def one_thread() -> Generator[None]:
    """Sums then have one order on every machine, and matrices this small gain nothing from a second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
