"""Turns pairs into what a model reads: token ids and pictures."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardmesh.models.chat import ChatTokenizer, TemplateError
from rewardmesh.models.pictures import Eye, ImageError, Picture
from rewardmesh.models.reward_model import Reading
from rewardmesh.rewards.preference.training.pair_file import DataError, Pair

# Pictures cut into patches are kept up to this size; those of a small data set are then cut once, not every epoch.
PICTURE_BYTES = 512 * 2**20
# Batches of like length are formed within so many of them, so that each epoch mixes pairs anew.
_BUCKET = 32


@dataclass(frozen=True, slots=True)
class Example:
    """A pair as the model reads it, and by how much the chosen one should win."""

    chosen: Reading
    rejected: Reading
    margin: float

    @property
    def tokens(self) -> int:
        """Of the longer conversation."""
        return max(len(self.chosen.ids), len(self.rejected.ids))


class PairReader:
    """Reads pairs with a checkpoint's tokenizer and image processor.

    Args:
        tokenizer: The checkpoint's.
        eye: Its image processor; None for a model that reads text only.
        limit: How many tokens a conversation may have.
    """

    def __init__(self, tokenizer: ChatTokenizer, eye: Eye | None, limit: int) -> None:
        self._tokenizer = tokenizer
        self._eye = eye
        self._limit = limit
        self._kept: dict[bytes | Path, Picture] = {}
        self._bytes = 0

    def __call__(self, pair: Pair) -> Example | None:
        """Both conversations; None if one of them does not fit whole.

        Raises:
            DataError: An image cannot be read, or the template refuses the prompt.
            OSError: A file cannot be read.
        """
        try:
            pictures = [self._look(image) for image in pair.prompt.images]
            chosen, rejected = (self._read(pair, text, pictures) for text in (pair.chosen, pair.rejected))
        except (ImageError, TemplateError) as error:
            raise DataError(f"line {pair.line}: {error}") from error
        return Example(chosen, rejected, pair.margin) if chosen and rejected else None

    def _read(self, pair: Pair, completion: str, pictures: Sequence[Picture]) -> Reading | None:
        tokens = [picture.tokens for picture in pictures]
        found = self._tokenizer.encode(pair.prompt.turns, completion, self._limit, tokens)
        if found.cut or not found.ids:
            return None
        return Reading(found.ids, found.prompt, tuple(pictures[i] for i in found.images))

    def _look(self, image: bytes | Path) -> Picture:
        found = self._kept.get(image)
        if found is None:
            if self._eye is None:
                raise ImageError("it has images, and the model reads text only")
            found = self._eye.look(image if isinstance(image, bytes) else image.read_bytes())
            self._bytes += found.patches.nbytes
            if self._bytes <= PICTURE_BYTES:
                self._kept[image] = found
        return found


def fitting(pairs: Sequence[Pair], read: PairReader) -> tuple[list[Pair], list[int]]:
    """The pairs that fit whole, and the tokens of each one's longer conversation. Raises as `read` does."""
    kept: list[Pair] = []
    lengths: list[int] = []
    for pair in pairs:
        if example := read(pair):
            kept.append(pair)
            lengths.append(example.tokens)
    return kept, lengths


def batches(lengths: Sequence[int], size: int, seed: str) -> Iterator[list[int]]:
    """One epoch: every index once, batches of pairs of like lengths in random order. The same for the same seed."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    found: list[list[int]] = []
    for start in range(0, len(order), size * _BUCKET):
        bucket = sorted(order[start : start + size * _BUCKET], key=lambda index: lengths[index])
        found += [bucket[i : i + size] for i in range(0, len(bucket), size)]
    rng.shuffle(found)
    return iter(found)
