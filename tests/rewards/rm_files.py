"""Preference pairs for tests: politeness, which even a tiny model learns at once."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

from rewardmesh.models.chat import ImageSlot
from rewardmesh.rewards.preference.training.pair_file import Pair, Prompt
from tests.rewards.small_rm import picture

_QUESTIONS = ("what is a circle", "what is the capital of Peru", "hello", "a red square", "what is blue")


def pairs(count: int, seed: int = 0, *, seeing: bool = False) -> list[Pair]:
    """Kind answers against unkind ones. Prompts differ."""
    rng = random.Random(seed)
    found: list[Pair] = []
    for number in range(count):
        question = f"{rng.choice(_QUESTIONS)} {number}"
        images = (picture(rng.randrange(1000), 32, 32),) if seeing else ()
        parts = (ImageSlot(0), question) if seeing else (question,)
        subject = rng.choice(("Lima", "a circle", "red", "the capital"))
        found.append(Pair(Prompt((("user", parts),), images), f"you are kind {subject}", f"go away {subject}"))
    return found


def rows(found: list[Pair]) -> list[dict[str, Any]]:
    """The pairs as a file has them."""
    made: list[dict[str, Any]] = []
    for pair in found:
        ((_, parts),) = pair.prompt.turns
        row: dict[str, Any] = {"prompt": parts[-1], "chosen": pair.chosen, "rejected": pair.rejected}
        if pair.prompt.images:
            row["images"] = [{"data": base64.b64encode(image).decode()} for image in pair.prompt.load_images()]
        made.append(row)
    return made


def write_rows(file: Path, made: list[dict[str, Any]]) -> Path:
    """One JSON object a line."""
    file.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return file
