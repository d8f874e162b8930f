r"""Compares the text of an answer with a reference: the exact and cheap ways first, math-verify last."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from rewardmesh.rewards.math.compare import UnparsableError, equal, near, parse, within
from rewardmesh.rewards.math.formula.decide import decide
from rewardmesh.rewards.math.formula.read import read_formula
from rewardmesh.rewards.math.gold import Gold, comparable, expression, read_based
from rewardmesh.rewards.math.guard import objection
from rewardmesh.rewards.math.latex import plain, words
from rewardmesh.rewards.math.number import Number, is_spelt_number, read_number
from rewardmesh.rewards.math.unit import same_unit, split_unit
from rewardmesh.rewards.numerals import numerals

_CHOICE = re.compile(
    r"(?:[Oo]ption |[Cc]hoice )?(?:\(([A-J])\)|([A-J])(?=[).:、]|$))(?!.*(?:\([A-J]\)|\b(?:and|or)\b|或))"
)
_CASELESS = re.compile(r"\(?([A-Za-z])\)?")
_DEGREES = r"^\circ"
# Relations that state one value on each side, and those that leave the comparison to math-verify.
_STATES = re.compile(r"\\approx(?![a-z])|\\equiv(?![a-z])|=")
_OTHER_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne|in|subset|lt|gt|notin|cup|sim)(?![a-z])")
# An arithmetic task restated instead of solved.
_UNEVALUATED = re.compile(
    r"\||\\[lr](?:floor|ceil|vert)|[\d)}!]\s*(?:[-+*^!]|\\times|\\cdot)|[\d)}]/[\d({]"
    r"|\\(?:sum|prod|int|lim|d?t?binom|choose|det|sqrt|log|ln|sin|cos|tan|max|min|gcd|lcm)(?![a-z])|\\operatorname"
)
_LIST = re.compile(r"[,;]|\\pm|\\mp|(?<![A-Za-z])(?:and|or)(?![A-Za-z])|[或和]")
_LIST_TOKEN = re.compile(rf"{_LIST.pattern}|[(){{}}\[\]]")
_DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d{1,2}|\d{4,})$")
_BOUND = re.compile(r"\\(?:sum|prod|cup|cap|lim)(?![a-z])|\|")  # k=1 below a sum is no claim
_POINTS = re.compile(r"[A-Z]{2,}")


class Match(NamedTuple):
    """Whether an answer is right, and the reason code."""

    right: bool
    reason: str


def match(gold: Gold, text: str, simplified: bool = True) -> Match:
    """Compares the canonical text of an answer with a reference.

    Args:
        gold: The reference.
        text: The answer.
        simplified: Whether a plain number must be answered by a number, not by sums, products or powers to evaluate.

    Raises:
        MemoryError, RecursionError: A limit of this process was hit.
    """
    if not text:
        return Match(False, "no_answer")
    if text == gold.text:
        return Match(True, "str_eq")
    if gold.number is not None and is_spelt_number(text) and (number := read_number(text)):
        right = gold.number.equals(number)  # most answers; no unit, no letter, nothing to object to
        return Match(right, "num_eq" if right else "num_ne")
    if gold.letter and (choice := _CHOICE.match(plain(text)) or _CASELESS.fullmatch(plain(text))):
        right = gold.letter in choice.groups()
        return Match(right, "letter" if right else "unequal")
    if why := objection(text):
        return Match(False, why)
    if gold.prose:
        right = _same_words(plain(gold.text), plain(text))
        return Match(right, "str_eq" if right else "unequal")
    return _match_value(gold, text, simplified)


def _match_value(gold: Gold, text: str, simplified: bool) -> Match:
    value, unit = split_unit(text)
    if not same_unit(gold.unit, unit):
        return Match(False, "unequal")
    if words(value) or (gold.number is not None and not value.isascii()):
        return _match_spelled(gold, value)
    based = read_based(value)
    if gold.based or (based and based[1] != "10"):
        right = gold.based == based
        return Match(right, "num_eq" if right else "num_ne")
    if based:
        value = based[0]
    try:
        claims = _claims(gold, value)
        if claims is None:
            return Match(False, "unequal")
        verdicts = [_match_claim(gold, claim, simplified) for claim in _without_approximation(gold, value, claims)]
    except UnparsableError:
        return Match(False, "unparsable")
    return next((verdict for verdict in verdicts if not verdict.right), verdicts[-1])


def _match_spelled(gold: Gold, value: str) -> Match:
    """Compares with an answer in words: "forty-two"."""
    value = plain(value)
    found = numerals(value)
    if gold.number is None or not found or len(found) != 1 or found[0].value is None:
        return Match(False, "unparsable")
    if (found[0].start, found[0].end) != (0, len(value)):
        return Match(False, "unparsable")
    right = gold.number.equals(Number(Fraction(found[0].value)))
    return Match(right, "num_eq" if right else "num_ne")


def _claims(gold: Gold, value: str) -> list[str] | None:
    """The values an answer states, every one of which must be right; None if it names another variable.

    "x=84/2=42" states 84/2 and 42. Taking either side alone would let an answer state two values and be paid for one.
    """
    if _is_relation(gold.value) or _OTHER_RELATION.search(value) or _is_list(value):
        return [value]
    sides = _split(value)
    if len(sides) > 1 and re.search(r"[A-Za-z|]", re.sub(r"\\[a-zA-Z]+", "", sides[0])):
        if gold.name and sides[0] != gold.name:
            return None
        return sides[1:]
    return sides


def _without_approximation(gold: Gold, value: str, claims: list[str]) -> list[str]:
    r"""Leaves out the decimal in "\sqrt{2} \approx 1.414" where the reference is no plain number."""
    if gold.number is None and len(claims) > 1 and r"\approx" in value:
        number = read_number(claims[-1])
        if number and near(expression(gold.value), number.value):
            return claims[:-1]
    return claims


def _match_claim(gold: Gold, claim: str, simplified: bool) -> Match:
    gold_degrees, degrees = _DEGREES in gold.value, _DEGREES in claim
    if degrees and not gold_degrees and r"\pi" in gold.value:
        claim = rf"({claim.replace(_DEGREES, '')})\cdot\frac{{\pi}}{{180}}"
    elif gold_degrees and not degrees and r"\pi" in claim:
        claim = rf"({claim})\cdot\frac{{180}}{{\pi}}"
    else:
        claim = claim.removesuffix(_DEGREES)
        number = read_number(_DECIMAL_COMMA.sub(r"\1.\2", claim) if gold.number else claim)
        if gold.number is not None and number is not None:
            right = gold.number.equals(number)
            return Match(right, "num_eq" if right else "num_ne")
        if gold.number is not None and _LIST.search(claim):
            return Match(False, "unequal")
        if simplified and gold.number is not None and _UNEVALUATED.search(claim):
            return Match(False, "forbidden_op")
    if _STATES.search(claim) and not (_is_relation(gold.value) or _LIST.search(gold.value) or _BOUND.search(claim)):
        return Match(False, "unequal")  # "{41=42}": math-verify would take its right side
    if _POINTS.fullmatch(gold.value) and _POINTS.fullmatch(claim):
        return Match(False, "unequal")  # equal ones were str_eq; as products of variables BA and AB would be equal
    right = _equals(gold, claim)
    return Match(right, "symbolic_eq" if right else "unequal")


def _equals(gold: Gold, claim: str) -> bool:
    known = read_formula(gold.value)
    formula = None if known is None else read_formula(claim)
    if known is not None and formula is not None:
        verdict = decide(known, formula)
        if verdict is not None:
            return verdict
    answer, reference = parse(claim), expression(gold.value)
    if gold.number is not None and gold.number.tolerance:
        return within(answer, gold.number.exact, gold.number.tolerance)
    try:
        return equal(reference, answer)
    except UnparsableError:
        comparable(reference)  # else the reference is to blame
        raise


def _is_relation(text: str) -> bool:
    return bool(_STATES.search(text) or _OTHER_RELATION.search(text))


def _is_list(text: str) -> bool:
    depth = 0
    for token in _LIST_TOKEN.finditer(text):
        depth += (token[0] in "({[") - (token[0] in ")}]")
        if depth == 0 and token[0] not in ")}]":
            return True
    return False


def _split(text: str) -> list[str]:
    r"""The sides of the relations that no bracket encloses: "\sum_{k=1}^n k" has one."""
    sides: list[str] = []
    begin = 0
    for relation in _STATES.finditer(text):
        side = text[begin : relation.start()]
        if sum(side.count(c) for c in "({[") == sum(side.count(c) for c in ")}]"):
            sides.append(side.strip())
            begin = relation.end()
    return [*sides, text[begin:].strip()]


def _same_words(gold: str, answer: str) -> bool:
    """Whether two texts are the same words. All capitals are names of points: case then matters."""
    if gold == answer:
        return True
    return not (gold.isupper() or answer.isupper()) and gold.casefold() == answer.casefold()
