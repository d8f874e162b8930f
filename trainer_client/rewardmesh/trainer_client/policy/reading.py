"""Runs a model over prompts once, then over any number of completions of them.

Sampling and training both go through `read`, `select` and `extend`, so that they cannot disagree about masks, positions
or where image features stand. Everything goes through the model's own `forward`: a sharded model gathers its weights
there. Positions are always given: models that see would otherwise keep them in mutable state between calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rewardmesh.trainer_client.policy.encoded import Encoded, end_to_end


@dataclass(slots=True)
class Reading:
    """What a model remembers of a batch of token sequences. Grows with `extend`; differentiable.

    Attributes:
        cache: Keys and values of every layer, [batch, heads, tokens, head size] each.
        mask: [batch, tokens], bool: False on padding.
        next_position: [batch], int64.
        axes: How many axes positions have.
        logits: [batch, vocabulary]: of the token to come.
    """

    cache: Any
    mask: Tensor
    next_position: Tensor
    axes: int
    logits: Tensor


def read(model: Any, prompts: Sequence[Encoded], pad: int) -> Reading:
    """Reads prompts as one batch, padded on the left so that all completions start in the same column."""
    width = max(len(p.ids) for p in prompts)
    axes = len(prompts[0].positions)
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    positions = torch.zeros((axes, *ids.shape), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        start = width - len(prompt.ids)
        ids[row, start:] = prompt.ids
        mask[row, start:] = True
        positions[:, row, start:] = prompt.positions
    device = model.device
    mask = mask.to(device)
    out = model(
        input_ids=ids.to(device),
        attention_mask=mask,
        position_ids=_given(positions.to(device)),
        use_cache=True,
        logits_to_keep=1,
        **{name: tensor.to(device) for name, tensor in end_to_end([prompt.seen for prompt in prompts]).items()},
    )
    nexts = torch.tensor([p.next_position for p in prompts], device=device)
    return Reading(out.past_key_values, mask, nexts, axes, out.logits[:, -1])


def select(reading: Reading, rows: Tensor) -> Reading:
    """A reading of these rows, each as often as named: the start of several completions of one prompt.

    Args:
        reading: Left as it is.
        rows: [new batch], int64.
    """
    # batch_select_indices replaces a layer's tensors: copies of the layers leave those of `reading` alone.
    cache = copy(reading.cache)
    cache.layers = [copy(layer) for layer in cache.layers]
    cache.batch_select_indices(rows)
    return Reading(cache, reading.mask[rows], reading.next_position[rows], reading.axes, reading.logits[rows])


def extend(model: Any, reading: Reading, ids: Tensor, mask: Tensor) -> Tensor:
    """Reads on, and moves `reading` forward.

    Args:
        model: The model that made the reading.
        reading: Changed in place.
        ids: [batch, new], int64. A placeholder token here is a token like any other: it gets no image feature.
        mask: [batch, new], bool: False on padding, which must be on the right.

    Returns:
        [batch, new, vocabulary]: the logits after each of `ids`.
    """
    positions = reading.next_position[:, None] + torch.arange(ids.shape[1], device=ids.device)
    reading.mask = torch.cat([reading.mask, mask], dim=1)
    out = model(
        input_ids=ids,
        attention_mask=reading.mask,
        position_ids=_given(positions.expand(reading.axes, -1, -1)),
        past_key_values=reading.cache,
        use_cache=True,
    )
    reading.next_position = reading.next_position + ids.shape[1]
    reading.logits = out.logits[:, -1]
    return out.logits


def _given(positions: Tensor) -> Tensor:
    """Positions as a model takes them: [batch, tokens] where they have one axis, else [axes, batch, tokens]."""
    return positions[0] if len(positions) == 1 else positions
