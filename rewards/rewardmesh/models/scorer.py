"""Scores groups of completions with a reward model: every prompt is read once, its images too."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from hashlib import sha256

import torch
from transformers import DynamicCache

from rewardmesh.models.grouped_attention import use_grouped_attention
from rewardmesh.models.last_layer import pooled_only
from rewardmesh.models.prefix_cache import CACHE_BYTES, Prefix, PrefixCache
from rewardmesh.models.reward_model import Reading, RewardModel, pad

# Padded tokens in one forward pass, those of the prompt not counted. Small passes of like lengths waste the least
# padding, and a CPU gains nothing from larger ones.
TOKEN_BUDGET = 4096
# Tokens of keys and values that one pass may hold: its completions' prompts, repeated, and themselves.
MEMORY_BUDGET = 65536


class Scorer:
    """Scores readings group by group.

    The shapes in which a group is computed depend on that group alone, so that its scores repeat bit for bit, whatever
    else is scored with it or was before.

    Args:
        model: In evaluation mode.
        cache_bytes: What may be remembered of prompts.
    """

    def __init__(self, model: RewardModel, cache_bytes: int = CACHE_BYTES) -> None:
        self.model = model
        use_grouped_attention(model.backbone)
        self._prefixes = PrefixCache(cache_bytes)

    @torch.inference_mode()
    def scores(self, readings: Sequence[Reading], groups: Sequence[Hashable]) -> list[float]:
        """The raw score of every reading, in order.

        Args:
            readings: What to score.
            groups: The group of each. Readings of one group share forward passes; only those of one prompt do.
        """
        found = [0.0] * len(readings)
        members: dict[tuple[Hashable, Hashable], list[int]] = {}
        for index, (reading, group) in enumerate(zip(readings, groups, strict=True)):
            members.setdefault((group, _key(reading)), []).append(index)
        for (_, key), indices in members.items():
            for index, score in zip(indices, self._group([readings[i] for i in indices], key), strict=True):
                found[index] = score
        return found

    def _group(self, readings: Sequence[Reading], key: Hashable) -> list[float]:
        """The scores of completions of one prompt. Equal ones are read once."""
        shared = min(readings[0].prompt, len(readings[0].ids) - 1)
        prefix = self._prefix(readings[0], shared, key)
        texts = list(dict.fromkeys(tuple(reading.ids[shared:]) for reading in readings))
        scores: dict[tuple[int, ...], float] = {}
        for part in _passes(texts, shared):
            for text, score in zip(part, self._pass(part, prefix), strict=True):
                scores[text] = score
        return [scores[tuple(reading.ids[shared:])] for reading in readings]

    def _prefix(self, reading: Reading, length: int, key: Hashable) -> Prefix:
        found = self._prefixes.get(key)
        if found is None:
            cache = DynamicCache(config=self.model.backbone.config)
            if length:
                ids = torch.tensor([reading.ids[:length]])
                nowhere = torch.zeros(0, dtype=torch.long, device=self.model.device)
                with pooled_only(self.model.backbone, nowhere, nowhere):
                    self.model.hidden(ids, [reading], cache)
            found = Prefix(cache, self.model.next_position(reading, length))
            self._prefixes.put(key, found)
        return found

    def _pass(self, texts: Sequence[Sequence[int]], prefix: Prefix) -> list[float]:
        rows = torch.arange(len(texts), device=self.model.device)
        last = torch.tensor([len(text) - 1 for text in texts], device=self.model.device)
        with pooled_only(self.model.backbone, rows, last):
            hidden = self.model.read_on(pad(texts), prefix.next_position, prefix.repeated(len(texts)))
        return self.model.head(hidden[rows, last]).tolist()


def _key(reading: Reading) -> Hashable:
    """What readings of one prompt have in common."""
    ids = tuple(reading.ids[: reading.prompt])
    seen = tuple(sha256(picture.patches.numpy().tobytes()).digest() for picture in reading.pictures)
    return (ids, seen)


def _passes(texts: Sequence[tuple[int, ...]], shared: int) -> Iterator[list[tuple[int, ...]]]:
    """Splits texts, sorted by length, into passes within the budgets, or of a single text."""
    batch: list[tuple[int, ...]] = []
    for text in sorted(texts, key=lambda text: (len(text), text)):
        rows = len(batch) + 1
        if batch and (rows * len(text) > TOKEN_BUDGET or rows * (shared + len(text)) > MEMORY_BUDGET):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
