"""The task with no right answer: a question that a reward model of manners judges the reply to."""

from __future__ import annotations

import random

from rewardmesh.contract import PreferenceReference
from rewardmesh.trainer_client.demo.item import Item

CAPITALS = {
    "Peru": "lima",
    "Cuba": "havana",
    "Iran": "tehran",
    "Iraq": "baghdad",
    "Chad": "ndjamena",
    "Mali": "bamako",
    "Oman": "muscat",
    "Togo": "lome",
    "Kenya": "nairobi",
    "Japan": "tokyo",
    "Egypt": "cairo",
    "Spain": "madrid",
    "Italy": "rome",
    "Nepal": "kathmandu",
    "Ghana": "accra",
    "Qatar": "doha",
    "China": "beijing",
    "Norway": "oslo",
    "France": "paris",
    "Sweden": "stockholm",
}
QUESTIONS = (
    "What is the capital of {c}?",
    "Tell me the capital of {c}.",
    "Name the capital of {c}.",
    "Which is the capital of {c}?",
    "I forgot the capital of {c}.",
    "Say the capital of {c}.",
    "Explain the capital of {c}.",
    "And the capital of {c}?",
)
POLITE = ("it is {a}.", "{a}.")
CARELESS = ("who can tell.", "it depends.", "go away, idiot.")


def manners(rng: random.Random) -> Item:
    """What is the capital of Peru? Careless answers evade or are rude."""
    country = rng.choice(list(CAPITALS))
    question = rng.choice(QUESTIONS).format(c=country)
    polite, careless = (rng.choice(texts).format(a=CAPITALS[country]) for texts in (POLITE, CARELESS))
    reference = PreferenceReference([POLITE[0].format(a=CAPITALS[country])])
    return Item(question, (), reference, polite, careless)
