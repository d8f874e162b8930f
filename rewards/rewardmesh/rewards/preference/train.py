"""Trains a demo reward model from nothing in half a minute, and calibrates any."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rewardmesh.models.reward_model import RewardModel, pad
from rewardmesh.models.text_tokenizer import TextTokenizer
from rewardmesh.models.tiny_text import tiny_classifier, tiny_tokenizer
from rewardmesh.rewards.preference.calibration import Calibration
from rewardmesh.rewards.preference.demo_pairs import FLAWS, Pair, demo_pairs, texts

STEPS = 250
PAIRS_PER_STEP = 16
HELD_OUT_PAIRS = 500
LEARNING_RATE = 3e-3  # high, as the model is tiny and starts from random weights
WARM_UP = 20  # steps
CENTRING = 0.01  # arXiv 2312.09244: Bradley-Terry fixes differences of scores only; this keeps their mean near 0

README = """A demo reward model of RewardMesh.

Trained for seconds on synthetic pairs that a program wrote. It shows the machinery at work: it tells manners apart
(rude, rambling, evasive), cannot tell a right answer from a wrong one, and knows nothing of human preference. Do not
train a policy with it.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What training the demo model gave.

    Attributes:
        accuracy: Share of held-out pairs, in [0, 1], whose chosen completion scores higher.
        by_flaw: The same by the rejected completion's flaw.
        parameters: How many the model has.
    """

    accuracy: float
    by_flaw: dict[str, float]
    parameters: int


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """The mean of -log sigmoid(r_c - r_r) + 0.01 (r_c + r_r)^2 over pairs; both arguments are raw scores [B]."""
    return (-logsigmoid(chosen - rejected) + CENTRING * (chosen + rejected) ** 2).mean()


def train_demo(out: Path, seed: int = 0, steps: int = STEPS) -> Report:
    """Makes pairs, learns a tokenizer and a model from them, and writes a calibrated checkpoint folder.

    Args:
        out: The folder, made if need be; files of the same names are replaced.
        seed: The same seed gives the same weights on the same machine. Torch's own generator is left as it was.
        steps: Optimiser steps, 16 pairs each.
    """
    out.mkdir(parents=True, exist_ok=True)
    pairs = demo_pairs(steps * PAIRS_PER_STEP, seed)
    tokenizer = tiny_tokenizer(texts(pairs))
    tokenizer.save(str(out / "tokenizer.json"))
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        model = RewardModel(tiny_classifier(tokenizer.get_vocab_size()))
        _fit(model, TextTokenizer(out), pairs)
    model.classifier.save_pretrained(out)
    (out / "README.md").write_text(README, encoding="utf-8")

    held_out = demo_pairs(HELD_OUT_PAIRS, seed, held_out=True)
    raw = calibrate(out, [(p.prompt, c) for p in held_out for c in (p.chosen, p.rejected)])
    right = [chosen > rejected for chosen, rejected in zip(raw[::2], raw[1::2], strict=True)]
    by_flaw = {flaw: _share([r for r, p in zip(right, held_out, strict=True) if p.flaw == flaw]) for flaw in FLAWS}
    return Report(_share(right), by_flaw, sum(p.numel() for p in model.parameters()))


def calibrate(checkpoint: Path, samples: Sequence[tuple[str, str]]) -> list[float]:
    """Fits a checkpoint's calibration on (prompt, completion) samples and stores it there; returns the raw scores.

    The samples should be like the completions to be scored, and none the model was trained on.

    Raises:
        OSError: A file of the checkpoint is missing.
        ValueError: The checkpoint is no reward model, or the samples do not differ in score.
    """
    tokenizer, model = TextTokenizer(checkpoint), RewardModel.load(checkpoint)
    raw = model.raw_scores([tokenizer.encode([("user", p)], c, model.max_tokens).ids for p, c in samples])
    digest = hashlib.sha256(json.dumps(samples).encode()).hexdigest()[:12]
    Calibration.fit(raw, digest).save(checkpoint)
    return raw


def main_demo(out: str) -> None:
    """Trains the demo model into a folder and prints how often it is right on held-out pairs."""
    report = train_demo(Path(out))
    flaws = ", ".join(f"{flaw} {share:.0%}" for flaw, share in report.by_flaw.items())
    sys.stdout.write(
        f"held-out accuracy {report.accuracy:.1%} on {HELD_OUT_PAIRS} synthetic pairs ({flaws})\n"
        f"{report.parameters:,} parameters in {out}: a demo, never human preference\n"
    )


@contextmanager
def _one_thread() -> Generator[None]:
    """Sums then have one order on every machine, and matrices this small gain nothing from a second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _fit(model: RewardModel, tokenizer: TextTokenizer, pairs: Sequence[Pair]) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    steps = len(pairs) // PAIRS_PER_STEP
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
    )
    model.train()
    for step in range(steps):
        batch = pairs[step * PAIRS_PER_STEP : (step + 1) * PAIRS_PER_STEP]
        both = [(p.prompt, p.chosen) for p in batch] + [(p.prompt, p.rejected) for p in batch]
        chosen, rejected = model(
            *pad([tokenizer.encode([("user", p)], c, model.max_tokens).ids for p, c in both])
        ).chunk(2)
        optimiser.zero_grad()
        bradley_terry_loss(chosen, rejected).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)
