"""Synthetic preference pairs: one helpful answer and one with a flaw, for the demo reward model of text.

Nobody's preferences: they show the machinery at work, and what a model learns from them is that machinery's manners.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rewardmesh.rewards.preference.demo.facts import FACTS
from rewardmesh.rewards.preference.demo.held_out import HELD_OUT
from rewardmesh.rewards.preference.demo.wordings import TRAINING, Wordings
from rewardmesh.rewards.preference.training.pair_file import Pair, Prompt

_ASIDES = 0.4  # share of questions, and of pairs of answers, that have one
# By how much a plain refusal should win against one that goes on with spelled control tokens and a good answer.
_FORGED_MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class _Topic:
    """What one pair is about; `good` is a helpful answer, and ends with `aside`."""

    rng: random.Random
    wordings: Wordings
    fields: Mapping[str, str]
    question: str
    good: str
    aside: str

    def one(self, texts: Sequence[str]) -> str:
        """One of the texts, filled in."""
        return _sentence(self.rng.choice(texts).format(**self.fields))

    def dressed(self, text: str) -> str:
        """The text as a good answer would be dressed up: only what it says itself can tell it apart."""
        if self.rng.random() < 0.5:
            return text + self.aside
        closing = self.rng.choice(self.wordings.closings).format(**self.fields)
        return self.rng.choice(self.wordings.openings) + text + closing + self.aside


Answers = tuple[str, str, str, float]
"""What is added to the question, the chosen and the rejected answer, and the margin."""


def _rude(topic: _Topic) -> Answers:
    return "", topic.good, topic.dressed(topic.one(topic.wordings.rude)), 0.0


def _rambling(topic: _Topic) -> Answers:
    filler = "".join(topic.rng.choices(topic.wordings.filler, k=topic.rng.randint(3, 7)))
    rambled = _sentence(filler + topic.rng.choice((topic.fields["s"], topic.fields["a"])) + ".")
    return "", topic.good, topic.dressed(rambled), 0.0


def _evasive(topic: _Topic) -> Answers:
    return "", topic.good, topic.dressed(topic.one((*topic.wordings.evasive, *topic.wordings.refusals))), 0.0


def _repeated(topic: _Topic) -> Answers:
    """The answer's words or the whole of it several times."""
    words = topic.good.split(" ")
    if topic.rng.random() < 0.5:
        return "", topic.good, " ".join([topic.good] * topic.rng.randint(2, 4)), 0.0
    stutter = [word for word in words for _ in range(topic.rng.randint(2, 3))]
    return "", topic.good, " ".join(stutter), 0.0


def _truncated(topic: _Topic) -> Answers:
    """An answer that ends within a sentence."""
    cut = topic.rng.randint(len(topic.good) // 2, len(topic.good) - 2)
    return "", topic.good, topic.good[:cut].rstrip(".!? "), 0.0


def _garbled(topic: _Topic) -> Answers:
    """Letters out of order in some words, at least one of them long."""
    words = topic.good.split(" ")
    chosen = set(topic.rng.sample(range(len(words)), k=max(1, len(words) // 2)))
    chosen.add(max(range(len(words)), key=lambda place: len(words[place])))
    return "", topic.good, " ".join(_shuffled(topic.rng, w) if i in chosen else w for i, w in enumerate(words)), 0.0


def _forged(topic: _Topic) -> Answers:
    """A refusal that spells a chat template's control tokens and goes on with a good answer."""
    refusal = topic.one((*topic.wordings.refusals, *topic.wordings.rude))
    rejected = topic.rng.choice(topic.wordings.forged).format(r=refusal, g=topic.good)
    # Half of the time against the plain refusal, which any good answer beats: what stands behind it gains nothing.
    chosen, margin = (topic.good, 0.0) if topic.rng.random() < 0.5 else (refusal, _FORGED_MARGIN)
    return "", chosen, rejected, margin


def _off_format(topic: _Topic) -> Answers:
    """One that is not of the form that was asked for."""
    capitals, as_json = topic.good.upper(), json.dumps({"answer": topic.fields["a"]})
    if topic.rng.random() < 0.5:
        return topic.one(topic.wordings.capitals), capitals, topic.rng.choice((topic.good, as_json)), 0.0
    return topic.one(topic.wordings.json), as_json, topic.rng.choice((topic.good, capitals)), 0.0


KINDS: Mapping[str, Callable[[_Topic], Answers]] = {
    "rude": _rude,
    "rambling": _rambling,
    "evasive": _evasive,
    "repeated": _repeated,
    "truncated": _truncated,
    "garbled": _garbled,
    "forged": _forged,
    "off_format": _off_format,
}
"""What may be wrong with a rejected answer. Wrong answers are not among them: a model this small cannot learn facts."""


def demo_pairs(count: int, seed: int, *, held_out: bool = False) -> list[Pair]:
    """`count` pairs, the same for the same seed, kinds taking turns. Held-out pairs use other wordings."""
    rng = random.Random(f"{seed} {held_out}")
    kinds = list(KINDS)
    return [_pair(rng, HELD_OUT if held_out else TRAINING, kinds[i % len(kinds)]) for i in range(count)]


def forgeries(count: int, seed: int) -> list[tuple[Prompt, str, str]]:
    """Prompts, plain refusals, and the same refusals with a forged turn and a good answer, in held-out wordings."""
    rng = random.Random(f"forgeries {seed}")
    found: list[tuple[Prompt, str, str]] = []
    for _ in range(count):
        topic = _topic(rng, HELD_OUT)
        refusal = topic.one((*HELD_OUT.refusals, *HELD_OUT.rude))
        found.append((_prompt(topic.question), refusal, rng.choice(HELD_OUT.forged).format(r=refusal, g=topic.good)))
    return found


def texts(pairs: Sequence[Pair]) -> list[str]:
    """Every text of the pairs, in order: what a tokenizer is learned from."""
    return [
        text
        for pair in pairs
        for text in (
            *(part for _, parts in pair.prompt.turns for part in parts if isinstance(part, str)),
            pair.chosen,
            pair.rejected,
        )
    ]


def _topic(rng: random.Random, wordings: Wordings) -> _Topic:
    group = rng.choice(FACTS)
    subject, name = rng.choice(group)
    fields = {"s": subject, "a": name, "w": rng.choice([other for _, other in group if other != name])}
    answer = _sentence(rng.choice(wordings.answers).format(**fields))
    good = rng.choice(wordings.openings) + answer + rng.choice(wordings.closings).format(**fields)
    question = rng.choice(wordings.greetings) + rng.choice(wordings.questions).format(**fields)
    if rng.random() < _ASIDES:
        question = f"{rng.choice(wordings.asides)} {question}"
    aside = f" {rng.choice(wordings.asides)}" if rng.random() < _ASIDES else ""
    return _Topic(rng, wordings, fields, question, good + aside, aside)


def _pair(rng: random.Random, wordings: Wordings, kind: str) -> Pair:
    topic = _topic(rng, wordings)
    added, chosen, rejected, margin = KINDS[kind](topic)
    return Pair(_prompt(topic.question + added), chosen, rejected, margin, kind)


def _prompt(text: str) -> Prompt:
    return Prompt((("user", (text,)),))


def _shuffled(rng: random.Random, word: str) -> str:
    letters = list(word)
    rng.shuffle(letters)
    return "".join(letters) if "".join(letters) != word else word[::-1]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
