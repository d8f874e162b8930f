"""The preference reward model against a plain transformers loop, and what Ray Serve adds.

    python -m tests.bench.preference [--rounds N] [--device DEVICE] [--no-serve]

Both sides score the same token sequences with the same weights: a Qwen2 of two million parameters, random, float32.
The plain loop pads a whole batch to its longest sequence and runs it through `AutoModelForSequenceClassification`, as
TRL's reward functions do. Ours shares each prompt, sorts by length and fills passes by tokens. Sides take turns, and
the median of all rounds counts; speed-ups are baseline over ours.

    shared_128, shared_256   16 completions of one 512-token prompt, of 128 and of 256 tokens, prompt not cached
    ragged                   64 conversations of different prompts, 8 to 1,200 tokens long
    cached_prefix_share      finding a prompt that was read before, over reading it
    serve_overhead           a group of 16 through `ServeEngine`, over the reward in this process
    max_score_difference     between ours and one by one, in float32

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, Qwen2Config, Qwen2Model

from rewardmesh.contract import Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.models.head import Head
from rewardmesh.models.reward_model import Reading, RewardModel
from rewardmesh.models.scorer import Scorer, _key
from rewardmesh.models.tiny_text import tiny_tokenizer
from rewardmesh.rewards.preference.reward import PreferenceReward
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.serve import ServeEngine

VOCABULARY = 2048
GROUP, PROMPT = 16, 512
WORDS = re.findall(
    r"\w+", "the a of and to in is it you that he was for on are with as his they at be this have from or"
)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.preference", description="Speed of reward models.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each side scores (default: 7)")
    parser.add_argument("--device", default="auto", help="where both sides run (default: the first GPU, else the CPU)")
    parser.add_argument("--no-serve", action="store_true", help="leave Ray Serve out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = _checkpoint(Path(name))
        report = _models(folder, options.device, options.rounds)
        if not options.no_serve:
            report["serve_overhead"] = round(asyncio.run(_serve(folder, options.rounds)), 3)
    for name, figure in report.items():
        sys.stdout.write(f"{name:22} {figure}\n")
    sys.stdout.write(json.dumps(report) + "\n")


def _checkpoint(folder: Path) -> Path:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=192, intermediate_size=512, num_hidden_layers=5, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=4096, pad_token_id=0, bos_token_id=None, eos_token_id=2,
    )  # fmt: skip
    head = Head.new(192)
    torch.nn.init.normal_(next(head.parameters()), std=0.2)
    RewardModel(Qwen2Model(config), head).save(folder)
    _tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "calibration.json").write_text(
        json.dumps({"method": "sigmoid", "mu": 0.0, "temperature": 4.0, "data": "none"})
    )
    return folder


def _tokenizer() -> Tokenizer:
    return tiny_tokenizer([" ".join(random.Random(seed).choices(WORDS, k=20)) for seed in range(50)], 400)


def _models(folder: Path, device: str, rounds: int) -> dict[str, Any]:
    model = RewardModel.load(folder, device)
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).to(model.device).eval()
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    differences: list[float] = []
    for name, readings, groups in (
        ("shared_128", _group(128), ["g"] * GROUP),
        ("shared_256", _group(256), ["g"] * GROUP),
        ("ragged", _ragged(), list(range(64))),
    ):
        expected = [_one(model, reading) for reading in readings]
        found = Scorer(model).scores(readings, groups)
        differences += [abs(a - b) for a, b in zip(expected, found, strict=True)]
        ours, theirs = _turns(
            lambda r=readings, g=groups: Scorer(model).scores(r, g), lambda r=readings: _padded(plain, r), rounds
        )
        report[name] = round(theirs / ours, 2)
        report[f"{name}_ms"] = round(1000 * ours, 1)
    report["cached_prefix_share"] = round(_cached(model, rounds), 4)
    report["max_score_difference"] = max(differences)
    return report


def _group(length: int) -> list[Reading]:
    rng = random.Random(length)
    prompt = [rng.randrange(VOCABULARY) for _ in range(PROMPT)]
    return [Reading(prompt + [rng.randrange(VOCABULARY) for _ in range(length)], PROMPT) for _ in range(GROUP)]


def _ragged() -> list[Reading]:
    rng = random.Random(0)
    lengths = [min(1200, max(8, round(rng.lognormvariate(4.7, 1.0)))) for _ in range(64)]
    return [Reading([rng.randrange(VOCABULARY) for _ in range(n)], n // 2) for n in lengths]


@torch.no_grad()
def _one(model: RewardModel, reading: Reading) -> float:
    return float(model([reading])[0])


@torch.no_grad()
def _padded(model: Any, readings: Sequence[Reading]) -> list[float]:
    longest = max(len(reading.ids) for reading in readings)
    ids = torch.zeros(len(readings), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, reading in enumerate(readings):
        ids[row, : len(reading.ids)] = torch.tensor(reading.ids)
        mask[row, : len(reading.ids)] = 1
    return model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits[:, 0].tolist()


def _cached(model: RewardModel, rounds: int) -> float:
    reading = _group(128)[0]

    def find(scorer: Scorer) -> None:
        with torch.inference_mode():
            scorer._prefix(reading, PROMPT, _key(reading))

    warm = Scorer(model)
    find(warm)
    hit, miss = _turns(lambda: find(warm), lambda: find(Scorer(model)), rounds)
    return hit / miss


async def _serve(folder: Path, rounds: int) -> float:
    """Time of a group through Ray Serve over the time of the reward in this process."""
    rng = random.Random(1)
    text = " ".join(rng.choices(WORDS, k=PROMPT))
    rollouts = [Rollout(f"{i}", " ".join(rng.choices(WORDS, k=128)), text, group="g") for i in range(GROUP)]
    reward = PreferenceReward(str(folder))
    engine = ServeEngine([RewardSpec("preference", {"checkpoint": str(folder)})])
    await engine.start()
    here: list[float] = []
    there: list[float] = []
    try:
        for count in range(rounds + 1):
            fresh = [Rollout(r.id, r.completion, f"{count} {text}", group=f"g{count}") for r in rollouts]
            began = time.perf_counter()
            outcomes: Sequence[object] = reward.score(fresh)
            middle = time.perf_counter()
            verdicts = await engine.score("preference", [Envelope.seal(r) for r in fresh], 60.0)
            ended = time.perf_counter()
            if not all(isinstance(each, Score) for each in [*outcomes, *(v.outcome for v in verdicts)]):
                raise SystemExit(f"not scored: {outcomes[0]} {verdicts[0]}")
            pairs = zip(cast(Sequence[Score], outcomes), (cast(Score, v.outcome) for v in verdicts), strict=True)
            if any(abs(a.value - b.value) > 1e-5 for a, b in pairs):
                raise SystemExit("the scores through Ray Serve are others")
            if count:  # the first call warms both
                here.append(middle - began)
                there.append(ended - middle)
    finally:
        await engine.close()
    return median(there) / median(here)


def _turns(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, taking turns; the first round warms them."""
    found: dict[int, list[float]] = {0: [], 1: []}
    for count in range(rounds + 1):
        for side, run in enumerate((ours, theirs)):
            began = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if count:
                found[side].append(time.perf_counter() - began)
    return median(found[0]), median(found[1])


if __name__ == "__main__":
    main()
