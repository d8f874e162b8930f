"""The task with no right answer: a question that a reward model of manners judges the reply to."""

from __future__ import annotations

import random

from rewardmesh.contract import PreferenceReference
from rewardmesh.trainer_client.demo.item import Item

FACTS = (
    ("the capital of France", "paris"),
    ("the capital of Japan", "tokyo"),
    ("the capital of Kenya", "nairobi"),
    ("the capital of Peru", "lima"),
    ("the capital of Norway", "oslo"),
    ("the capital of Egypt", "cairo"),
    ("the largest planet", "jupiter"),
    ("the closest planet to the sun", "mercury"),
    ("the red planet", "mars"),
    ("the planet with the brightest rings", "saturn"),
    ("the past tense of go", "went"),
    ("the past tense of see", "saw"),
)
GREETINGS = ("", "Hello. ", "Excuse me. ", "Quick question. ", "Hi there! ", "For my class: ")
QUESTIONS = ("What is {s}?", "Tell me {s}.", "Name {s}.", "I need to know {s}.", "Could you tell me {s}?")
POLITE = ("it is {a}.", "{a}.")
CARELESS = ("maybe {a}, maybe {w}.", "it depends.", "go away, idiot.")


def manners(rng: random.Random) -> Item:
    """What is the capital of Peru? Careless answers evade, hedge or are rude."""
    subject, answer = rng.choice(FACTS)
    wrong = rng.choice([other for _, other in FACTS if other != answer])
    question = rng.choice(GREETINGS) + rng.choice(QUESTIONS).format(s=subject)
    polite, careless = (rng.choice(texts).format(a=answer, w=wrong) for texts in (POLITE, CARELESS))
    return Item(question, (), PreferenceReference([POLITE[0].format(a=answer)]), polite, careless)
