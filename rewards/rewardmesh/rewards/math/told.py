"""The number that a sentence tells: "Janet makes $18 every day." is an answer of 18, if it is marked as the answer.

Only a plain statement with one number in it counts. A sentence that denies, doubts, compares or bounds, or that names
a second number or a formula, is left as it is, and pays nothing.
"""

from __future__ import annotations

import re
from itertools import islice

from rewardmesh.rewards.answer import Answer
from rewardmesh.rewards.math.last_number import NUMBER
from rewardmesh.rewards.numerals import numerals

_MAX_LENGTH = 200
_MIN_WORDS = 3
_NUMBER = re.compile(rf"\$(?P<formula>{NUMBER})\$|(?P<bare>{NUMBER})")
# What follows a number: the name of what it counts, so that a wrong unit stays a wrong unit.
_COUNTED = re.compile(
    r" ?(?!(?:of|per|a|an|each|every|in|on|at|to|for|by|this|that|last|next|more|and|when|as|so)\b)"
    r"[^\W\d_]+(?:(?: per |/)[^\W\d_]+)?"
)
_SIGNED = re.compile(r"[$€£¥￥%％]|percent|pct")  # a number that brings its unit
_WORD = re.compile(r"[一-鿿]|[^\W\d_]{2,}")
_FORMULA = re.compile(r"[=<>+*^_\\{}()\[\]|$/:;?]")
_UNSURE = re.compile(
    r"n['’]?t\b|\b(?:not|never|no|nor|none|neither|wrong|incorrect|false|mistake|error|except|without|least|most|than"
    r"|over|under|above|below|about|around|approximately|approx|roughly"
    r"|nearly|almost|close|between|if|unless|until|instead|rather|either|or|maybe|perhaps|possibly|probably|likely|could"
    r"|might|may|would|should|guess|think|suppose|unknown|unclear|up to|from|minus|plus|times|twice|half|double|hardly"
    r"|cannot|fails?|denies|absurd|silly|impossible|option|choice|step|question|problem|base|mod|modulo)\b"
    r"|[不非没无错约几或若至超少多于近可猜]|大概|左右",
    re.IGNORECASE,
)


def told(sentence: Answer) -> Answer | None:
    """The number in a sentence, with the unit behind it; None where the sentence states no single number plainly."""
    text = sentence.text
    if len(text) > _MAX_LENGTH or len(_WORD.findall(text)) < _MIN_WORDS or _UNSURE.search(text):
        return None
    found = list(islice(_NUMBER.finditer(text), 2))
    if len(found) != 1:
        return None
    number = found[0]
    begin, end = number.span(number.lastgroup or 0)
    before, behind = text[: number.start()], text[number.end() :]
    if _FORMULA.search(before) or _FORMULA.search(behind) or numerals(before) or numerals(behind):
        return None
    enclosed = number.lastgroup == "formula"
    counted = None if enclosed or _SIGNED.search(number[0]) else _COUNTED.match(text, end)
    return sentence.cut(begin, counted.end() if counted else end)
