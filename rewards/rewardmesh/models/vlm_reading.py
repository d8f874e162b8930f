"""Runs a Qwen3-VL model over prompts once, then over any number of completions of them.

Sampling and training both go through `read_prompts`, `select` and `extend`, so that they cannot disagree about masks,
positions or where image features stand. Positions are always given: the model would otherwise keep them in mutable
state (`rope_deltas`) between calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, Qwen3VLForConditionalGeneration

from rewardmesh.models.vlm_prompt import VlmPrompt


@dataclass(slots=True)
class Reading:
    """What a model remembers of a batch of token sequences. Grows with `extend`; differentiable.

    Attributes:
        cache: Keys and values of every layer, [batch, heads, tokens, head size] each.
        mask: [batch, tokens], bool: False on padding.
        next_position: [batch], int64.
        logits: [batch, vocabulary]: of the token to come.
    """

    cache: DynamicCache
    mask: Tensor
    next_position: Tensor
    logits: Tensor


def read_prompts(model: Qwen3VLForConditionalGeneration, prompts: Sequence[VlmPrompt]) -> Reading:
    """Reads prompts as one batch, padded on the left so that all completions start in the same column."""
    width = max(len(p.ids) for p in prompts)
    ids = torch.zeros((len(prompts), width), dtype=torch.int64)  # masked: which token pads does not matter
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    is_image = torch.zeros(ids.shape, dtype=torch.bool)
    positions = torch.zeros((3, *ids.shape), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        start = width - len(prompt.ids)
        ids[row, start:] = prompt.ids
        mask[row, start:] = True
        is_image[row, start:] = prompt.is_image
        positions[:, row, start:] = prompt.positions
    embeds = model.get_input_embeddings()(ids)
    deepstack: list[Tensor] | None = None
    patches = torch.cat([p.patches for p in prompts])
    if len(patches):
        seen = model.model.visual(patches, grid_thw=torch.cat([p.grids for p in prompts]))
        embeds = embeds.masked_scatter(is_image[..., None], seen.pooler_output)
        deepstack = seen.deepstack_features
    out = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=positions,
        use_cache=True,
        visual_pos_masks=is_image,
        deepstack_visual_embeds=deepstack,
    )
    nexts = torch.tensor([p.next_position for p in prompts])
    return Reading(out.past_key_values, mask, nexts, model.lm_head(out.last_hidden_state[:, -1]))


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
    return Reading(cache, reading.mask[rows], reading.next_position[rows], reading.logits[rows])


def extend(model: Qwen3VLForConditionalGeneration, reading: Reading, ids: Tensor, mask: Tensor) -> Tensor:
    """Reads on, and moves `reading` forward.

    Args:
        model: The model that made the reading.
        reading: Changed in place.
        ids: [batch, new], int64. A placeholder token here is a token like any other: it gets no image feature.
        mask: [batch, new], bool: False on padding, which must be on the right.

    Returns:
        [batch, new, vocabulary]: the logits after each of `ids`.
    """
    positions = reading.next_position[:, None] + torch.arange(ids.shape[1])
    reading.mask = torch.cat([reading.mask, mask], dim=1)
    out = model.model.language_model(
        input_ids=ids,
        attention_mask=reading.mask,
        position_ids=positions.expand(3, -1, -1),
        past_key_values=reading.cache,
        use_cache=True,
    )
    reading.next_position = reading.next_position + ids.shape[1]
    logits = model.lm_head(out.last_hidden_state)
    reading.logits = logits[:, -1]
    return logits
