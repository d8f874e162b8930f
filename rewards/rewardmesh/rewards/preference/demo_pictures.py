"""Synthetic preference pairs about drawn pictures: a caption that fits, and one that does not."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from rewardmesh.models.chat import ImageSlot
from rewardmesh.rewards.preference.pair_file import Pair, Prompt

_SIDE = 48
_CELL = 16  # a shape's place: the picture has 3 x 3 of them
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 205, 40),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle")
PLACES = {"at the top": 0, "in the middle": 1, "at the bottom": 2}
NUMBERS = ("no", "one", "two", "three")
KINDS = ("colour", "shape", "place", "count")

_QUESTIONS = ("What do you see?", "Describe the picture.", "What is shown here?")
_HELD_OUT_QUESTIONS = ("What do you see here?", "Describe what is shown.")
_CAPTIONS = ("{} {} {} {}.", "I see {} {} {} {}.", "The picture shows {} {} {} {}.")


@dataclass(frozen=True, slots=True)
class Scene:
    """One to three like shapes in one row.

    Attributes:
        colour: One of `COLOURS`.
        shape: One of `SHAPES`.
        place: One of `PLACES`: the row.
        count: How many, 1 to 3.
    """

    colour: str
    shape: str
    place: str
    count: int

    def caption(self, wording: str) -> str:
        """A sentence that says all of it."""
        plural = self.shape if self.count == 1 else f"{self.shape}s"
        text = wording.format(NUMBERS[self.count], self.colour, plural, self.place)
        return text[0].upper() + text[1:]


def demo_captions(count: int, seed: int, *, held_out: bool = False) -> list[Pair]:
    """`count` pairs, the same for the same seed: captions of a picture, of which one is wrong in colour, shape, place or
    count, in turns. Held-out pairs have other pictures, and other questions.
    """
    rng = random.Random(f"captions {seed} {held_out}")
    questions = _HELD_OUT_QUESTIONS if held_out else _QUESTIONS
    return [_pair(rng, KINDS[i % len(KINDS)], questions) for i in range(count)]


def draw(scene: Scene, rng: random.Random) -> bytes:
    """A PNG of the scene on a pale ground; sizes, columns and shades differ from picture to picture."""
    ground = rng.randint(215, 255)
    picture = Image.new("RGB", (_SIDE, _SIDE), (ground, ground, ground))
    canvas = ImageDraw.Draw(picture)
    colour = tuple(max(0, min(255, value + rng.randint(-20, 20))) for value in COLOURS[scene.colour])
    top = PLACES[scene.place] * _CELL
    for column in rng.sample(range(3), scene.count):
        size = rng.randint(10, 14)
        x, y = column * _CELL + rng.randint(0, _CELL - size), top + rng.randint(0, _CELL - size)
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
    scene = Scene(rng.choice(list(COLOURS)), rng.choice(SHAPES), rng.choice(list(PLACES)), rng.randint(1, 3))
    match kind:
        case "colour":
            wrong = replace(scene, colour=rng.choice([c for c in COLOURS if c != scene.colour]))
        case "shape":
            wrong = replace(scene, shape=rng.choice([s for s in SHAPES if s != scene.shape]))
        case "place":
            wrong = replace(scene, place=rng.choice([p for p in PLACES if p != scene.place]))
        case _:
            wrong = replace(scene, count=rng.choice([n for n in (1, 2, 3) if n != scene.count]))
    wording = rng.choice(_CAPTIONS)
    prompt = Prompt((("user", (ImageSlot(0), rng.choice(questions))),), (draw(scene, rng),))
    return Pair(prompt, scene.caption(wording), wrong.caption(wording), kind=kind)
