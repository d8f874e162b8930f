"""Tasks with one picture: find a square, point at it, count shapes."""

from __future__ import annotations

import random

from rewardmesh.contract import Box, BoxReference, CountReference, PointReference, Size
from rewardmesh.trainer_client.demo.drawing import COLOURS, SHAPES, Figure
from rewardmesh.trainer_client.demo.item import Item, Picture

SIDE = 48
# Figures stand on this grid, in pixels: single pixels would cost the tiny model minutes to tell apart.
GRID = 4
MAX_COUNT = 5
COUNTED_SIDE = 12
QUESTIONS = ("where is the square?", "point at the square.", "how many shapes are there?")


def grounding(rng: random.Random) -> Item:
    """Where is the square? Its box in pixels; careless answers give one corner."""
    box = _box(rng, 12, 24)
    reference = BoxReference([box], image_size=Size(SIDE, SIDE))
    return Item(QUESTIONS[0], _red_square(box), reference, ",".join(map(str, box)), f"{box.x1},{box.y1}")


def pointing(rng: random.Random) -> Item:
    """Point at the square: its middle in pixels; careless answers say how far to the right, and not how far down."""
    box = _box(rng, 8, 16)
    x1, y1, x2, y2 = map(int, box)
    across, down = (x1 + x2) // 2, (y1 + y2) // 2
    reference = PointReference([box], image_size=Size(SIDE, SIDE))
    return Item(QUESTIONS[1], _red_square(box), reference, f"{across},{down}", f"{across}")


def counting(rng: random.Random) -> Item:
    """How many shapes are there? Careless answers hedge: "3 or 4" is no count."""
    wanted = rng.randint(1, MAX_COUNT)
    boxes: list[Box] = []
    for _ in range(40 * wanted):  # fewer where there is no room
        box = _box(rng, COUNTED_SIDE, COUNTED_SIDE)
        if not any(_touch(box, other) for other in boxes):
            boxes.append(box)
        if len(boxes) == wanted:
            break
    figures = [Figure(rng.choice(SHAPES), rng.choice(list(COLOURS)), box) for box in boxes]
    count = len(boxes)
    return Item(QUESTIONS[2], (Picture(SIDE, figures),), CountReference(count), str(count), f"{count} or {count + 1}")


def _box(rng: random.Random, smallest: int, largest: int) -> Box:
    """A box on the grid, with sides of random lengths."""
    width, height = (rng.randrange(smallest, largest + 1, GRID) for _ in "xy")
    x, y = (rng.randrange(0, SIDE - side + 1, GRID) for side in (width, height))
    return Box(x, y, x + width, y + height)


def _touch(one: Box, other: Box) -> bool:
    return one.x1 <= other.x2 and other.x1 <= one.x2 and one.y1 <= other.y2 and other.y1 <= one.y2


def _red_square(box: Box) -> tuple[Picture, ...]:
    return (Picture(SIDE, [Figure("square", "red", box)]),)
