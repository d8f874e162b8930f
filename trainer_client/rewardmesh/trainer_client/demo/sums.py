"""The task with numbers: add two of them."""

from __future__ import annotations

import random

from rewardmesh.contract import MathReference
from rewardmesh.trainer_client.demo.item import Item

LARGEST = 9
QUESTIONS = (
    "{a} + {b} = ?",
    "what is {a} + {b}?",
    "what is {a} plus {b}?",
    "how much is {a} + {b}?",
    "add {a} and {b}.",
    "{a} plus {b}?",
)


def sums(rng: random.Random) -> Item:
    """3 + 4 = ? Careless answers are half an equation, which is not the number that was asked for."""
    a, b = rng.randint(1, LARGEST), rng.randint(1, LARGEST)
    question = rng.choice(QUESTIONS).format(a=a, b=b)
    return Item(question, (), MathReference([str(a + b)]), str(a + b), f"= {a + b}")
