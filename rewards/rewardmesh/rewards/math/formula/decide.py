"""Whether two formulas are equal, where that is certain without sympy."""

from __future__ import annotations

from collections.abc import Sequence

from rewardmesh.rewards.math.formula.equation import equations
from rewardmesh.rewards.math.formula.nouns import Equation, Formula, Items, Matrix, Ratio, Reals, Scalar, value_of
from rewardmesh.rewards.math.formula.reals import same_reals
from rewardmesh.rewards.math.formula.value import product, same

__all__ = ["decide"]


def decide(gold: Formula, answer: Formula) -> bool | None:
    """Whether an answer equals a reference; None where only sympy can tell."""
    match gold, answer:
        case Scalar(), Scalar():
            return _scalars(gold, answer)
        case Items(), Items():
            return _lists(gold, answer)
        case (Scalar(), Items(items=items)) | (Items(items=items), Scalar()):
            return False if len(_distinct(items) or ()) > 1 else None
        case (Scalar() as scalar, Equation() as equation) | (Equation() as equation, Scalar() as scalar):
            # an equation that says what something is stands for its right side
            verdict = same(equation.right, value_of(scalar))
            return None if verdict and not equation.denotes else verdict
        case Equation(), Equation():
            return equations(gold, answer)
        case Matrix(), Matrix():
            return _matrices(gold, answer)
        case Ratio(), Ratio():
            return _ratios(gold, answer)
        case (Ratio(), _) | (_, Ratio()):
            return False
        case (Reals() | Items(), Reals() | Items()):
            return same_reals(gold, answer)
        case _:
            return None


def _scalars(gold: Scalar, answer: Scalar) -> bool | None:
    if gold.number is not None and answer.number is not None:
        return gold.number.equals(answer.number)
    x, y = value_of(gold), value_of(answer)
    if gold.number is not None and gold.number.tolerance:
        return same(x, y, float(gold.number.tolerance))
    return None if answer.number is not None and answer.number.percent else same(x, y)


def _lists(gold: Items, answer: Items) -> bool | None:
    kinds = {gold.opening, answer.opening}
    if kinds <= {"", r"\{"}:
        return _in_any_order(gold.items, answer.items)
    if (gold.opening, gold.closing) == (answer.opening, answer.closing) or (
        kinds <= {"(", "["} and len(gold.items) > 2 and len(answer.items) > 2
    ):
        return _in_order(gold.items, answer.items)
    if kinds <= {"(", "["} and len(gold.items) == len(answer.items) == 2:
        return False  # two numbers in other brackets: another interval
    # math-verify lets a set stand for a tuple; what differs in any order differs in every order
    return False if _in_any_order(gold.items, answer.items) is False else None


def _in_order(gold: Sequence[Formula], answer: Sequence[Formula]) -> bool | None:
    if len(gold) != len(answer):
        return False
    verdicts = [decide(a, b) for a, b in zip(gold, answer, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def _in_any_order(gold: Sequence[Formula], answer: Sequence[Formula]) -> bool | None:
    """As sets. Items must be told apart with certainty, or nothing is certain."""
    golds, answers = _distinct(gold), _distinct(answer)
    if golds is None or answers is None:
        return None
    certain = True
    for item in golds:
        verdicts = [decide(item, other) for other in answers]
        if True in verdicts:
            continue
        if None not in verdicts:
            return False
        certain = False
    if not certain:
        return None
    return len(golds) == len(answers)


def _distinct(items: Sequence[Formula]) -> list[Formula] | None:
    kept: list[Formula] = []
    for item in items:
        verdicts = [decide(other, item) for other in kept]
        if True in verdicts:
            continue
        if None in verdicts:
            return None
        kept.append(item)
    return kept


def _ratios(gold: Ratio, answer: Ratio) -> bool | None:
    """Whether they are the same up to a factor."""
    if len(gold.terms) != len(answer.terms):
        return False
    first, other = gold.terms[0], answer.terms[0]
    verdicts = [same(product([a, other]), product([b, first])) for a, b in zip(gold.terms, answer.terms, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def _matrices(gold: Matrix, answer: Matrix) -> bool | None:
    if (len(gold.rows), len(gold.rows[0])) != (len(answer.rows), len(answer.rows[0])):
        return False
    return _in_order([c for row in gold.rows for c in row], [c for row in answer.rows for c in row])
