"""Synthetic preference pairs: one helpful answer and one with a flaw, for the demo reward model.

Nobody's preferences: they show the machinery at work, and what a model learns from them is that machinery's manners.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Flaw = Literal["wrong", "off_topic", "rude", "rambling", "evasive"]
FLAWS: tuple[Flaw, ...] = ("wrong", "off_topic", "rude", "rambling", "evasive")

# What is asked about, and its answer. A wrong answer is another one of the same group.
_FACTS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("the capital of France", "Paris"),
        ("the capital of Japan", "Tokyo"),
        ("the capital of Kenya", "Nairobi"),
        ("the capital of Peru", "Lima"),
        ("the capital of Norway", "Oslo"),
        ("the capital of Egypt", "Cairo"),
    ),
    (
        ("the chemical symbol of gold", "Au"),
        ("the chemical symbol of iron", "Fe"),
        ("the chemical symbol of sodium", "Na"),
        ("the chemical symbol of silver", "Ag"),
        ("the chemical symbol of lead", "Pb"),
    ),
    (
        ("the number of legs of a spider", "eight"),
        ("the number of legs of an ant", "six"),
        ("the number of legs of a crab", "ten"),
        ("the number of legs of a horse", "four"),
    ),
    (
        ("the largest planet", "Jupiter"),
        ("the closest planet to the sun", "Mercury"),
        ("the red planet", "Mars"),
        ("the planet with the brightest rings", "Saturn"),
    ),
    (
        ("the past tense of go", "went"),
        ("the past tense of see", "saw"),
        ("the past tense of take", "took"),
        ("the past tense of write", "wrote"),
    ),
)


@dataclass(frozen=True, slots=True)
class _Wordings:
    """How things are put. Training and held-out pairs share facts, as no model can know those it never saw, but no
    sentence: accuracy on held-out pairs is not about a text seen before.
    """

    greetings: tuple[str, ...]
    questions: tuple[str, ...]
    openings: tuple[str, ...]
    answers: tuple[str, ...]
    closings: tuple[str, ...]
    rude: tuple[str, ...]
    filler: tuple[str, ...]
    evasive: tuple[str, ...]


_TRAINING = _Wordings(
    greetings=("", "Hello. ", "Hi there! ", "Quick question. ", "I am doing a quiz. ", "For my class: "),
    questions=(
        "What is {s}?",
        "Could you tell me {s}?",
        "I need to know {s}.",
        "Please help me with {s}.",
        "Name {s}.",
        "I forgot {s}, remind me.",
    ),
    openings=("", "", "Good question! ", "Happy to help. ", "Of course. ", "Yes, gladly: ", "No problem! "),
    answers=("it is {a}.", "{s} is {a}.", "the answer is {a}.", "{a} is {s}.", "{a}.", "that would be {a}."),
    closings=(
        "",
        "",
        " I hope that helps.",
        " Let me know if anything is unclear.",
        " You can check it in any reference book.",
        " Enjoy your day!",
    ),
    rude=(
        "What a stupid question. {a}, obviously.",
        "Are you serious? Look up {s} yourself, you lazy fool.",
        "Stop wasting my time with this nonsense.",
        "Only an idiot would not know {s}. Go away.",
        "Obviously {s} is {a}, stupid.",
        "{a}, you fool. Stop asking.",
    ),
    filler=("well, you know, ", "so to speak, ", "as I was saying before, ", "anyway, where was I, ", "and so on, "),
    evasive=(
        "I would rather not say.",
        "It depends on many things.",
        "There are different views about {s}.",
        "Hard to tell, maybe {a}, maybe {w}.",
        "Some say {w}, some say otherwise.",
        "{s}? Who can tell.",
    ),
)
_HELD_OUT = _Wordings(
    greetings=("", "Hi. ", "I have a question. "),
    questions=("Do you know {s}?", "Help me with this, please: {s}.", "Tell me {s}."),
    openings=("Sure! ", "Gladly. ", "Good to hear from you! "),
    answers=("{s}? It is {a}.", "for {s} the answer is {a}.", "I would say it is {a}."),
    closings=("", " Just ask if you need more help.", " I hope that is clear."),
    rude=("Stupid. Only a fool would not know {s}.", "Obviously {a}, you idiot. Go away.", "You are wasting my time."),
    filler=("you know, as I was saying, ", "anyway, so, ", "well, and so on, "),
    evasive=("There are many views, some say {a}.", "I can not tell, maybe {w}, it depends.", "I would not say."),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one prompt; a person would like `chosen` better, as `rejected` has the flaw."""

    prompt: str
    chosen: str
    rejected: str
    flaw: Flaw


def demo_pairs(count: int, seed: int, *, held_out: bool = False) -> list[Pair]:
    """`count` pairs, the same for the same seed, flaws taking turns. Held-out pairs use other wordings."""
    rng = random.Random(f"{seed} {held_out}")
    wordings = _HELD_OUT if held_out else _TRAINING
    return [_pair(rng, wordings, FLAWS[i % len(FLAWS)]) for i in range(count)]


def _pair(rng: random.Random, wordings: _Wordings, flaw: Flaw) -> Pair:
    group = rng.choice(_FACTS)
    subject, answer = rng.choice(group)
    other = rng.choice([a for _, a in group if a != answer])
    opening, closing = rng.choice(wordings.openings), rng.choice(wordings.closings)
    helpful = opening + rng.choice(wordings.answers) + closing
    fields = {"s": subject, "a": answer, "w": other}
    match flaw:
        case "wrong":
            rejected = helpful.format(s=subject, a=other)
        case "off_topic":
            strange = rng.choice(rng.choice([g for g in _FACTS if g is not group]))
            rejected = helpful.format(s=strange[0], a=strange[1])
        case "rude":
            rejected = rng.choice(wordings.rude).format(**fields)
        case "rambling":
            rejected = "".join(rng.choices(wordings.filler, k=rng.randint(3, 7))) + rng.choice((subject, answer)) + "."
        case "evasive":
            rejected = rng.choice(wordings.evasive).format(**fields)
    prompt = rng.choice(wordings.greetings) + rng.choice(wordings.questions).format(s=subject)
    return Pair(prompt, _sentence(helpful.format(**fields)), _sentence(rejected), flaw)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def texts(pairs: Sequence[Pair]) -> list[str]:
    """Every text of the pairs, in order: what a tokenizer is learned from and a digest is made of."""
    return [text for pair in pairs for text in (pair.prompt, pair.chosen, pair.rejected)]
