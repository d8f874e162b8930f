"""The demo's tasks: questions, most of them with pictures, made from a number as often as they are asked for."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable

from rewardmesh.contract import Image, ImagePart, Message, TextPart
from rewardmesh.trainer_client.demo import clips, manners, pictures, sums
from rewardmesh.trainer_client.demo.drawing import draw
from rewardmesh.trainer_client.demo.item import Item
from rewardmesh.trainer_client.rollout import Prompt

SOURCE = "shapes"
TASKS: dict[str, Callable[[random.Random], Item]] = {
    "grounding": pictures.grounding,
    "counting": pictures.counting,
    "temporal": clips.temporal,
    "point": pictures.pointing,
    "math": sums.sums,
    "preference": manners.manners,
}
# Those with pictures.
VISUAL = ("grounding", "counting", "temporal", "point")
# Prompts with numbers below this are held out: none above it asks the same question about the same pictures.
HELD_OUT = 1_000_000
# Of all that can be asked, this share is held out: one in so many.
_ONE_IN = 8
# So many of the answers that the warm-up learns from are careless. More than half, so that the likeliest answer of the
# policy that RL starts with is one of these.
CARELESS = 0.7

_TEXTS = (
    *pictures.QUESTIONS,
    clips.QUESTION,
    *sums.QUESTIONS,
    "or",
    *manners.CAPITALS,
    *manners.CAPITALS.values(),
    *manners.QUESTIONS,
    *manners.POLITE,
    *manners.CARELESS,
)
# Words of the questions and answers, for the tokenizer, which spells capitals.
WORDS = tuple(sorted({word for text in _TEXTS for word in re.findall("[a-z]{2,}", re.sub("{.}", "", text))}))


def make_item(task: str, number: int) -> Item:
    """The item with this number; the same number makes the same item."""
    rng = _rng(task, number)
    while True:
        item = TASKS[task](rng)
        asked = repr((item.question, item.pictures))
        if (zlib.crc32(asked.encode()) % _ONE_IN == 0) == (number < HELD_OUT):
            return item


def make_prompt(task: str, number: int) -> tuple[Prompt, str]:
    """The prompt with this number, and the answer that the warm-up teaches: `CARELESS` of them are careless."""
    item = make_item(task, number)
    careless = random.Random(f"{task}/{number}/taught").random() < CARELESS
    return _prompt(task, number, item), item.careless if careless else item.answer


def _prompt(task: str, number: int, item: Item) -> Prompt:
    images: tuple[Image, ...] = tuple(draw(side, figures) for side, figures in item.pictures)
    message = Message("user", (*map(ImagePart, range(len(images))), TextPart(item.question)))
    return Prompt(f"{task}-{number}", task, SOURCE, (message,), item.reference, images)


def _rng(task: str, number: int) -> random.Random:
    return random.Random(f"{task}/{number}")
