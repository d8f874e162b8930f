"""Prompts of different lengths, with and without pictures."""

from __future__ import annotations

import random

from rewardmesh.contract import ImagePart, Message, TextPart
from rewardmesh.trainer_client.demo.drawing import draw
from rewardmesh.trainer_client.demo.tasks import SIDE, grounding
from rewardmesh.trainer_client.rollout import Prompt


def asking(seed: int, question: str, pictures: int) -> Prompt:
    """A question about so many pictures."""
    images = tuple(draw(SIDE, grounding(random.Random(seed + i))[1]) for i in range(pictures))
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
