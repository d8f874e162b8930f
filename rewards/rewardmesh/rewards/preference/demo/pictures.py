"""Synthetic preference pairs about drawn pictures: a caption that fits, and one that does not."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from rewardmesh.models.chat import ImageSlot
from rewardmesh.rewards.preference.training.pair_file import Pair, Prompt

_CELL = 16  # a shape's place in pixels: the picture has 2 x 2 of them
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 205, 40),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle")
PLACES = {"top left": (0, 0), "top right": (1, 0), "bottom left": (0, 1), "bottom right": (1, 1)}
NUMBERS = {"one": 1, "two": 2, "three": 3}
KINDS = ("colour", "shape", "place", "count")

_QUESTIONS = ("What do you see?", "Describe the picture.", "What is shown here?")
_HELD_OUT_QUESTIONS = ("What do you see here?", "Describe what is shown.")
# What a caption says of the picture. A model this small learns one thing a sentence in minutes, four in hours.
_CAPTIONS = {
    "colour": ("I see something {}.", "What is shown is {}.", "The colour is {}."),
    "shape": ("I see a {}.", "What is shown is a {}.", "The shape is a {}."),
    "place": ("I see something at the {}.", "What is shown is at the {}.", "The place is the {}."),
    "count": ("I see {} of them.", "What is shown is {} in number.", "The number is {}."),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """One to three like shapes.

    Attributes:
        colour: One of `COLOURS`.
        shape: One of `SHAPES`.
        number: One of `NUMBERS`: how many.
        place: One of `PLACES`: where the first of them is.
    """

    colour: str
    shape: str
    number: str
    place: str


def demo_captions(count: int, seed: int, *, held_out: bool = False) -> list[Pair]:
    """`count` pairs, the same for the same seed: a caption that fits its picture, and one wrong in what it says.

    Colour, shape, place and number take turns. Held-out pairs have other pictures, and other questions.
    """
    rng = random.Random(f"captions {seed} {held_out}")
    questions = _HELD_OUT_QUESTIONS if held_out else _QUESTIONS
    return [_pair(rng, KINDS[i % len(KINDS)], questions) for i in range(count)]


def draw(scene: Scene, rng: random.Random) -> bytes:
    """A PNG of the scene on a pale ground; sizes, places and shades differ from picture to picture."""
    ground = rng.randint(215, 255)
    picture = Image.new("RGB", (2 * _CELL, 2 * _CELL), (ground, ground, ground))
    canvas = ImageDraw.Draw(picture)
    colour = tuple(max(0, min(255, value + rng.randint(-20, 20))) for value in COLOURS[scene.colour])
    first = PLACES[scene.place]
    others = rng.sample([place for place in PLACES.values() if place != first], NUMBERS[scene.number] - 1)
    for column, row in (first, *others):
        size = rng.randint(10, 14)
        x, y = (cell * _CELL + rng.randint(0, _CELL - size) for cell in (column, row))
        box = (x, y, x + size - 1, y + size - 1)
        if scene.shape == "circle":
            canvas.ellipse(box, fill=colour)
        elif scene.shape == "square":
            canvas.rectangle(box, fill=colour)
        else:
            canvas.polygon([(x, box[3]), (box[2], box[3]), (x + size // 2, y)], fill=colour)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _pair(rng: random.Random, kind: str, questions: tuple[str, ...]) -> Pair:
    colour, shape, place = (rng.choice(list(each)) for each in (COLOURS, SHAPES, PLACES))
    number = "one" if kind == "place" else rng.choice(list(NUMBERS))
    words, right = {
        "colour": (COLOURS, colour),
        "shape": (SHAPES, shape),
        "place": (PLACES, place),
        "count": (NUMBERS, number),
    }[kind]
    wording = rng.choice(_CAPTIONS[kind])
    wrong = rng.choice([word for word in words if word != right])
    picture = draw(Scene(colour, shape, number, place), rng)
    prompt = Prompt((("user", (ImageSlot(0), rng.choice(questions))),), (picture,))
    return Pair(prompt, wording.format(right), wording.format(wrong), kind=kind)
