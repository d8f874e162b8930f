"""The size at which models of the Qwen2-VL kind see an image, in whose pixels some of them answer."""

from __future__ import annotations

import math
from typing import NamedTuple

from rewardmesh.contract import Size

MAX_RATIO = 200  # the image processors refuse images that are longer


class Resize(NamedTuple):
    """The settings of a family's image processor.

    Attributes:
        factor: Both sides become multiples of it: the side of a patch times the patches merged along a side.
        min_pixels: The smallest area; smaller images are enlarged.
        max_pixels: The largest area; larger images are shrunk.
    """

    factor: int
    min_pixels: int
    max_pixels: int


def smart_resize(image: Size, resize: Resize) -> Size:
    """The size nearest to the image's own with sides of whole factors, an area within bounds and about its shape.

    The rule of `smart_resize` in Hugging Face's Qwen2VLImageProcessor (transformers 4.45 to 5), to the pixel.

    Args:
        image: Positive.
        resize: Positive, with room for a square of one factor between its bounds.

    Raises:
        ValueError: One side is more than `MAX_RATIO` times the other.
    """
    width, height = image
    if max(image) > MAX_RATIO * min(image):
        raise ValueError(f"no model looks at an image whose sides differ by more than {MAX_RATIO} times: {list(image)}")
    factor, least, most = resize
    # Python's round: halves go to the even multiple, as they do there.
    wide, high = round(width / factor) * factor, round(height / factor) * factor
    if wide * high > most:
        shrink = math.sqrt(height * width / most)
        return Size(
            max(factor, math.floor(width / shrink / factor) * factor),
            max(factor, math.floor(height / shrink / factor) * factor),
        )
    if wide * high < least:
        grow = math.sqrt(least / (height * width))
        return Size(math.ceil(width * grow / factor) * factor, math.ceil(height * grow / factor) * factor)
    return Size(wide, high)
