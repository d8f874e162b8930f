"""Draws the demo's pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image as Pillow
from PIL import ImageDraw

from rewardmesh.contract import Box, Image

BACKGROUND = (245, 245, 245)
COLOURS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (50, 80, 220), "yellow": (235, 195, 40)}
SHAPES = ("square", "circle")


class Figure(NamedTuple):
    """A coloured shape that fills its box, whose right and lower edges are exclusive."""

    shape: str
    colour: str
    box: Box


def draw(side: int, figures: Sequence[Figure]) -> Image:
    """A square PNG of `side` pixels, with these figures in order."""
    canvas = Pillow.new("RGB", (side, side), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for shape, colour, (x1, y1, x2, y2) in figures:
        paint = pen.ellipse if shape == "circle" else pen.rectangle
        paint((x1, y1, x2 - 1, y2 - 1), fill=COLOURS[colour])
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return Image(data=out.getvalue())
