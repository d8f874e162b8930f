"""Sets pairs aside that are not trained on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256

from rewardmesh.rewards.preference.training.pair_file import Pair, Prompt


def split(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Training and held-out pairs. No prompt is in both: a model that has seen a prompt knows half of the pair.

    Args:
        pairs: In any order; both parts keep it.
        share: Of the prompts to hold out, in [0, 1). Above 0 at least one is, if there are two.
        seed: Decides which.
    """
    keys = [prompt_key(pair.prompt) for pair in pairs]
    prompts = sorted(set(keys))
    random.Random(f"split {seed}").shuffle(prompts)
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1) if share > 0 else 0
    kept_back = set(prompts[:count])
    training = [pair for pair, key in zip(pairs, keys, strict=True) if key not in kept_back]
    held_out = [pair for pair, key in zip(pairs, keys, strict=True) if key in kept_back]
    return training, held_out


def prompt_key(prompt: Prompt) -> str:
    """The same for the same turns and images."""
    told = sha256(repr(prompt.turns).encode(errors="surrogatepass"))
    for image in prompt.load_images():
        told.update(sha256(image).digest())
    return told.hexdigest()


def digest(pairs: Sequence[Pair]) -> str:
    """12 hexadecimal digits of everything in the pairs."""
    told = sha256()
    for pair in pairs:
        told.update(prompt_key(pair.prompt).encode())
        told.update(repr((pair.chosen, pair.rejected, pair.margin)).encode(errors="surrogatepass"))
    return told.hexdigest()[:12]
