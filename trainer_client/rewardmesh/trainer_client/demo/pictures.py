"""Tasks with one picture: find a shape, point at it, count shapes."""

from __future__ import annotations

import random

from rewardmesh.contract import Box, BoxReference, CountReference, PointReference, Size
from rewardmesh.trainer_client.demo.drawing import COLOURS, SHAPES, Figure
from rewardmesh.trainer_client.demo.item import Item, Picture

SIDE = 48
# Figures stand on this grid, in pixels, a patch of the vision encoder each: single pixels would cost the tiny model
# minutes to tell apart.
GRID = 8
MAX_COUNT = 5
QUESTIONS = ("where is the shape?", "point at the shape.", "how many shapes are there?")


def grounding(rng: random.Random) -> Item:
    """Where is the shape? Its box in pixels."""
    figure = _figures(rng, 1, 16, 32)[0]
    answer = ",".join(map(str, figure.box))
    reference = BoxReference([figure.box], image_size=Size(SIDE, SIDE))
    return Item(QUESTIONS[0], (Picture(SIDE, [figure]),), reference, answer, answer)


def pointing(rng: random.Random) -> Item:
    """Point at the shape: its middle in pixels."""
    figure = _figures(rng, 1, 8, 16)[0]
    x1, y1, x2, y2 = map(int, figure.box)
    answer = f"{(x1 + x2) // 2},{(y1 + y2) // 2}"
    reference = PointReference([figure.box], image_size=Size(SIDE, SIDE))
    return Item(QUESTIONS[1], (Picture(SIDE, [figure]),), reference, answer, answer)


def counting(rng: random.Random) -> Item:
    """How many shapes are there? Careless answers hedge: "3 or 4" is no count."""
    figures = _figures(rng, rng.randint(1, MAX_COUNT), 8, 8)
    count = len(figures)
    return Item(QUESTIONS[2], (Picture(SIDE, figures),), CountReference(count), str(count), f"{count} or {count + 1}")


def _figures(rng: random.Random, count: int, smallest: int, largest: int) -> list[Figure]:
    """Shapes of random kind, colour and size that do not overlap; fewer when there is no room."""
    boxes: list[Box] = []
    for _ in range(40 * count):
        width, height = (rng.randrange(smallest, largest + 1, GRID) for _ in "xy")
        x, y = (rng.randrange(0, SIDE - side + 1, GRID) for side in (width, height))
        box = Box(x, y, x + width, y + height)
        if all(box.x1 >= b.x2 or b.x1 >= box.x2 or box.y1 >= b.y2 or b.y1 >= box.y2 for b in boxes):
            boxes.append(box)
        if len(boxes) == count:
            break
    return [Figure(rng.choice(SHAPES), rng.choice(list(COLOURS)), box) for box in boxes]
