"""The task with a clip: when is the light red?"""

from __future__ import annotations

import random

from rewardmesh.contract import Box, Segment, SegmentReference
from rewardmesh.trainer_client.demo.drawing import COLOURS, SHAPES, Figure
from rewardmesh.trainer_client.demo.item import Item, Picture

FRAMES = 8
SECONDS_PER_FRAME = 2
# One token of the tiny model.
FRAME_SIDE = 16
QUESTION = "when is the light red?"
_LIGHT_SIDE = 12
_GRID = 4


def temporal(rng: random.Random) -> Item:
    """When is the light red? In seconds; careless answers give the numbers of the frames."""
    start = rng.randrange(FRAMES)
    end = rng.randrange(start + 1, FRAMES + 1)
    x, y = (rng.randrange(0, FRAME_SIDE - _LIGHT_SIDE + 1, _GRID) for _ in "xy")
    box = Box(x, y, x + _LIGHT_SIDE, y + _LIGHT_SIDE)
    shape = rng.choice(SHAPES)
    other = rng.choice([colour for colour in COLOURS if colour != "red"])
    colours = ["red" if start <= i < end else other for i in range(FRAMES)]
    pictures = tuple(Picture(FRAME_SIDE, [Figure(shape, colour, box)]) for colour in colours)
    segment = Segment(start * SECONDS_PER_FRAME, end * SECONDS_PER_FRAME)
    reference = SegmentReference([segment], duration=FRAMES * SECONDS_PER_FRAME)
    return Item(QUESTION, pictures, reference, f"{segment.start}-{segment.end}", f"{start}-{end}")
