"""The demo's tasks: pictures with a question, made from a seed, so that training never sees the same one twice."""

from __future__ import annotations

import random
from collections.abc import Callable

from rewardmesh.contract import (
    Box,
    BoxReference,
    CountReference,
    ImagePart,
    Message,
    Reference,
    Segment,
    SegmentReference,
    Size,
    TextPart,
)
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.trainer_client.demo.drawing import COLOURS, SHAPES, Figure, draw
from rewardmesh.trainer_client.rollout import Prompt

SIDE = 48
# Figures stand on this grid, in pixels: single pixels would cost the tiny model minutes to tell apart.
GRID = 4
SOURCE = "shapes"
MAX_COUNT = 4
# Words of the questions, for the tokenizer.
WORDS = ("where", "is", "the", "how", "many", "circles", "are", "there", "when", "on", *COLOURS, *SHAPES)
# A timeline's pixel stands for this many seconds.
SECONDS_PER_PIXEL = 2


def grounding(rng: random.Random) -> tuple[str, list[Figure], Reference, str]:
    """Where is the red square? Beside another figure, in pixels."""
    placed = _scatter(rng, 2, 12, 24)
    target = Figure("square", "red", placed[0])
    others = [Figure(rng.choice(SHAPES), rng.choice(("green", "blue", "yellow")), box) for box in placed[1:]]
    answer = f"[{', '.join(map(str, target.box))}]"
    reference = BoxReference([target.box], image_size=Size(SIDE, SIDE))
    return "where is the red square?", [*others, target], reference, answer


def counting(rng: random.Random) -> tuple[str, list[Figure], Reference, str]:
    """How many circles are there? On an empty ground: telling them from squares is more than the warm-up teaches."""
    circles = [
        Figure("circle", rng.choice(list(COLOURS)), box) for box in _scatter(rng, rng.randint(1, MAX_COUNT), 12, 12)
    ]
    return "how many circles are there?", circles, CountReference(len(circles)), str(len(circles))


def temporal(rng: random.Random) -> tuple[str, list[Figure], Reference, str]:
    """When is the red light on? A timeline from left to right, red while it is."""
    start = rng.randrange(0, SIDE - 8 + 1, GRID)
    end = rng.randrange(start + 8, SIDE + 1, GRID)
    top = rng.randrange(0, SIDE - 12 + 1, GRID)
    bar = Figure("square", "green", Box(0, top, SIDE, top + 12))
    lit = Figure("square", "red", Box(start, top, end, top + 12))
    segment = Segment(start * SECONDS_PER_PIXEL, end * SECONDS_PER_PIXEL)
    reference = SegmentReference([segment], duration=SIDE * SECONDS_PER_PIXEL)
    return "when is the red on?", [bar, lit], reference, as_answer(reference) or ""


TASKS: dict[str, Callable[[random.Random], tuple[str, list[Figure], Reference, str]]] = {
    "grounding": grounding,
    "counting": counting,
    "temporal": temporal,
}


def make_prompt(task: str, seed: int) -> tuple[Prompt, str]:
    """A prompt of this task and the answer to it, as the policy is taught to write it. The same seed makes the same."""
    rng = random.Random(f"{task}/{seed}")
    question, figures, reference, answer = TASKS[task](rng)
    message = Message("user", (ImagePart(0), TextPart(question)))
    prompt = Prompt(f"{task}-{seed}", task, SOURCE, (message,), reference, (draw(SIDE, figures),))
    return prompt, answer


def _scatter(rng: random.Random, count: int, smallest: int, largest: int) -> list[Box]:
    """Boxes of random size that do not touch; fewer when there is no room."""
    boxes: list[Box] = []
    for _ in range(40 * count):
        width, height = (rng.randrange(smallest, largest + 1, GRID) for _ in "xy")
        x, y = (rng.randrange(0, SIDE - side + 1, GRID) for side in (width, height))
        box = Box(x, y, x + width, y + height)
        if all(box.x1 > b.x2 or b.x1 > box.x2 or box.y1 > b.y2 or b.y1 > box.y2 for b in boxes):
            boxes.append(box)
        if len(boxes) == count:
            break
    return boxes
