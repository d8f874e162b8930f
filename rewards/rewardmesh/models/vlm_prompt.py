"""Prompts as a Qwen3-VL model takes them: token ids, patches and three-axis positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rewardmesh.models.patches import PatchShape, patchify


@dataclass(frozen=True, slots=True)
class VlmPrompt:
    """One prompt, its images expanded into placeholder tokens.

    Attributes:
        ids: [tokens], int64.
        is_image: [tokens], bool: where an image feature stands. Known from the prompt's making, never from the ids.
        positions: [3, tokens], int64: time, height and width, as M-RoPE wants them.
        next_position: The position of the first token after the prompt, the same on all axes.
        patches: [patches, values] of all images, in order; none for a text.
        grids: [images, 3], int64: frames (1), rows and columns of patches.
    """

    ids: Tensor
    is_image: Tensor
    positions: Tensor
    next_position: int
    patches: Tensor
    grids: Tensor


def encode_prompt(pieces: Sequence[Sequence[int] | Tensor], image_token_id: int, shape: PatchShape) -> VlmPrompt:
    """Puts a prompt together.

    Args:
        pieces: Token ids, and images ([3, height, width], uint8), in reading order.
        image_token_id: The placeholder token.
        shape: The vision encoder's patch shape.

    Raises:
        ValueError: An image's side does not fit the patches, or text holds the placeholder token.
    """
    ids: list[int] = []
    is_image: list[bool] = []
    positions: list[Tensor] = []
    patches: list[Tensor] = [torch.zeros(0, 3 * shape.size**2)]
    grids: list[list[int]] = []
    here = 0
    for piece in pieces:
        if isinstance(piece, Tensor):
            rows, columns = (side // (shape.size * shape.merge) for side in piece.shape[1:])
            patches.append(patchify(piece, shape))
            grids.append([1, rows * shape.merge, columns * shape.merge])
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            positions.append(torch.stack([torch.zeros_like(row), row, column]).reshape(3, -1) + here)
            ids += [image_token_id] * (rows * columns)
            is_image += [True] * (rows * columns)
            here += max(rows, columns)  # an image takes as many positions as its longer side (Qwen2-VL, section 2.1)
        else:
            if image_token_id in piece:
                raise ValueError("a prompt's text holds the image placeholder token")
            positions.append(torch.arange(here, here + len(piece)).expand(3, -1))
            ids += piece
            is_image += [False] * len(piece)
            here += len(piece)
    return VlmPrompt(
        ids=torch.tensor(ids),
        is_image=torch.tensor(is_image),
        positions=torch.cat(positions, dim=1),
        next_position=here,
        patches=torch.cat(patches),
        grids=torch.tensor(grids, dtype=torch.int64).reshape(-1, 3),
    )
