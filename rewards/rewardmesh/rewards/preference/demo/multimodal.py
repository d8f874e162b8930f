"""Trains the demo reward model of text and images, from nothing, in a few minutes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from rewardmesh.models.tiny_seeing_text import save_image_processor, seeing_tokenizer, tiny_seeing_model
from rewardmesh.rewards.preference.demo.pairs import texts
from rewardmesh.rewards.preference.demo.pictures import demo_captions
from rewardmesh.rewards.preference.demo.text import one_thread
from rewardmesh.rewards.preference.training.fit import Options
from rewardmesh.rewards.preference.training.train import Report, train

STEPS = 500
HELD_OUT_PAIRS = 400
OPTIONS = Options(batch=48, learning_rate=1e-3)

README = """A demo reward model of RewardMesh that sees.

Trained for minutes on pictures of coloured shapes that a program drew, with captions that fit and captions that do not.
It shows the machinery at work: it knows a few colours, shapes, places and numbers, nothing of photographs, and nothing
of human preference. Do not train a policy with it.
"""


def train_multimodal_demo(out: Path, seed: int = 0, steps: int = STEPS, held_out: int = HELD_OUT_PAIRS) -> Report:
    """Draws pictures, learns a tokenizer and a model from them, and writes a calibrated checkpoint folder.

    Args:
        out: The folder, made if need be; files of the same names are replaced.
        seed: The same seed gives the same weights on the same machine. Torch's own generator is left as it was.
        steps: Optimiser steps, 48 pairs each.
        held_out: Pairs to evaluate on and to calibrate with, of other pictures.
    """
    pairs = demo_captions(steps * OPTIONS.batch, seed)
    others = demo_captions(held_out, seed, held_out=True)
    with tempfile.TemporaryDirectory() as folder, one_thread(), torch.random.fork_rng(devices=[]):
        base = Path(folder)
        torch.manual_seed(seed)
        tokenizer = seeing_tokenizer(texts(pairs[:1000]))
        tokenizer.save(str(base / "tokenizer.json"))
        save_image_processor(base)
        tiny_seeing_model(tokenizer).save_pretrained(base)
        report = train(pairs, others, base, out, replace(OPTIONS, seed=seed))
    (out / "README.md").write_text(README, encoding="utf-8")
    return report
