"""Images as Qwen-VL vision encoders read them: a row of pixels per patch, block by block."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class PatchShape(NamedTuple):
    """Side of a patch in pixels, and how many patches per side the projector merges into one token."""

    size: int
    merge: int


def patchify(pixels: Tensor, shape: PatchShape) -> Tensor:
    """Cuts an image into patches, in the order of transformers' `Qwen2VLImageProcessor`.

    The patches of one merged block follow each other; blocks run row by row. (That processor needs torchvision, which
    cannot be installed beside a CPU build of torch from the same index.)

    Args:
        pixels: [3, height, width], uint8.
        shape: The encoder's patch shape.

    Returns:
        [patches, 3 * size * size], float32 in [-1, 1].

    Raises:
        ValueError: Height or width is no multiple of a merged block's side.
    """
    channels, height, width = pixels.shape
    size, merge = shape
    block = size * merge
    if height % block or width % block:
        raise ValueError(f"an image's sides must be multiples of {block} pixels, got {width} x {height}")
    cut = pixels.reshape(channels, height // block, merge, size, width // block, merge, size)
    rows = cut.permute(1, 4, 2, 5, 0, 3, 6).reshape(-1, channels * size * size)
    return rows.to(torch.float32) / 127.5 - 1.0
