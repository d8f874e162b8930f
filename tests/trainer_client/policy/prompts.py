"""Prompts of different lengths, with and without pictures."""

from __future__ import annotations

import io
import random

from PIL import Image as Pillow
from PIL import ImageDraw

from rewardmesh.contract import Image, ImagePart, Message, TextPart
from rewardmesh.trainer_client.rollout import Prompt

SIDE = 48
WORDS = ("where", "is", "the", "red", "square", "what", "and")


def picture(seed: int) -> Image:
    """A coloured square somewhere on white, which is three times as wide as high or, of odd seeds, a square too."""
    chance = random.Random(seed)
    left, top = chance.randrange(32), chance.randrange(32)
    drawn = Pillow.new("RGB", (SIDE if seed % 2 else 3 * SIDE, SIDE), "white")
    colour = tuple(chance.randrange(256) for _ in range(3))
    ImageDraw.Draw(drawn).rectangle([left, top, left + 15, top + 15], fill=colour)
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return Image(file.getvalue())


def asking(seed: int, question: str, pictures: int) -> Prompt:
    """A question about so many pictures."""
    images = tuple(picture(seed + i) for i in range(pictures))
    # Text in between: transformers, which some tests compare with, takes adjacent images for one.
    parts = (*(part for i in range(pictures) for part in (ImagePart(i), TextPart("and"))), TextPart(question))
    return Prompt(f"p{seed}", "grounding", "shapes", (Message("user", parts),), None, images)


def prompts(seeing: bool) -> list[Prompt]:
    return [
        asking(1, "where?", int(seeing)),
        asking(2, "where is the red square, and where is the green circle?", int(seeing)),
        asking(3, "no picture", 0),
        asking(4, "what changed?", 2 * seeing),
    ]
