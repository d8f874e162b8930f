"""A prompt as a model takes it, and what turns prompts into that and ids into text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from rewardmesh.trainer_client.rollout import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One prompt, its images' placeholders among its tokens.

    Attributes:
        ids: [tokens], int64. Only here do placeholders stand for image features, never in a completion.
        positions: [axes, tokens], int64: one axis, or time, height and width where a model rotates by these three.
        next_position: The position of the token to come, the same on all axes.
        seen: What else the model is given for the images (`pixel_values`, ...), [images or patches, ...] each; empty
            without images. Those of several prompts are laid `end_to_end`.
    """

    ids: Tensor
    positions: Tensor
    next_position: int
    seen: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


def end_to_end(seen: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What a model is given for all these images together.

    Where models cut images into different numbers of tiles, [images, tiles, ...], those with fewer are filled up with
    zeros, as the models' own processors do; the models know how many tiles an image has, by its size or by the zeros.
    """
    names = dict.fromkeys(name for each in seen for name in each)
    return {name: _joined([each[name] for each in seen if name in each]) for name in names}


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    if len({tensor.shape[1:] for tensor in tensors}) > 1:
        shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
        tensors = [_filled_up(tensor, shape) for tensor in tensors]
    return torch.cat(list(tensors))


def _filled_up(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    full = tensor.new_zeros((len(tensor), *shape))
    full[tuple(slice(size) for size in tensor.shape)] = tensor
    return full


class Reader(Protocol):
    """Speaks for a model: prompts to ids, ids to text, and which ids mean what.

    Attributes:
        eos: The id that ends the answers to be learned.
        ends: All ids that end a completion; `eos` is one of them.
        pad: The id that fills up a batch.
        known: How many ids there are. A model may have more rows in its vocabulary than that.
        special: Ids that are no text.
    """

    @property
    def eos(self) -> int: ...
    @property
    def ends(self) -> Sequence[int]: ...
    @property
    def pad(self) -> int: ...
    @property
    def known(self) -> int: ...
    @property
    def special(self) -> Sequence[int]: ...

    def encode(self, prompt: Prompt) -> Encoded:
        """A prompt, up to where its completion begins."""
        ...

    def text_ids(self, text: str) -> list[int]:
        """A text alone. No special token comes of it, whatever it spells."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, without special tokens."""
        ...
