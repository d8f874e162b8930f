"""Images as Qwen-VL backbones take them, without the video half of their processors (which needs torchvision)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from torch import Tensor
from transformers import Qwen2VLImageProcessorPil

# Larger than any camera's; a file of a few KB may claim to be of any size.
MAX_PIXELS = 64_000_000


class ImageError(ValueError):
    """Bytes are no image, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, cut into patches.

    Attributes:
        patches: [patches, values], float32.
        grid: [3], int64: frames (1), rows and columns of patches.
        tokens: How many tokens of the language model it takes.
    """

    patches: Tensor
    grid: Tensor
    tokens: int


class Eye:
    """A checkpoint's image processor.

    Args:
        folder: A checkpoint folder with `preprocessor_config.json`.

    Raises:
        OSError: There is none.
    """

    def __init__(self, folder: Path) -> None:
        self._processor = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)

    def look(self, data: bytes) -> Picture:
        """An encoded image (PNG, JPEG, WebP). Raises ImageError."""
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ImageError(f"an image of {image.width} x {image.height} pixels is too large")
                pixels = image.convert("RGB")
            made = self._processor(images=[pixels], return_tensors="pt")
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ImageError(f"an image cannot be read: {error}") from error
        grid = made["image_grid_thw"][0]
        return Picture(made["pixel_values"], grid, int(grid.prod()) // self._processor.merge_size**2)
