"""The math reward: 1 if the answer is equivalent to the reference, else 0."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Literal

from rewardmesh.contract import InvalidReferenceError, MathReference, Rollout, Score
from rewardmesh.rewards.answer import Answer, with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.math.extract import answers
from rewardmesh.rewards.math.gold import Gold, read_gold
from rewardmesh.rewards.math.guard import MAX_LENGTH
from rewardmesh.rewards.math.latex import canonical
from rewardmesh.rewards.math.match import Match, match
from rewardmesh.rewards.math.number import read_number
from rewardmesh.rewards.math.steer import warm

# Equal answers of a batch, and of the steps before, are compared once. An entry takes a KB at most.
_REMEMBERED = 8192


class MathReward:
    r"""Scores mathematical answers.

    Runs in a process with limits on CPU and memory and has none of its own: no alarm, no thread, no clock.

    What counts as equal, in Chinese and English alike:

    | reference | paid | not paid |
    |---|---|---|
    | integer, fraction, symbols | the same value: `0.5` for `\frac12`, `x(x+1)` for `x^2+x` | `0.33` for `1/3` |
    | fraction without a finite decimal | its rounding to six digits or more: `0.333333` for `1/3` | `0.333334` |
    | decimal with d places | within half a unit of the last, exact or with d places: `1/3` for `0.33` | `0.3` |
    | tiny number | relative to its size | `4e-7` for `1e-7`, `0.0` for `10^{-8}` |
    | percentage | the number it stands for: `0.5` for `50\%` | `50` for `50\%`, `50\%` for `50` |
    | unit | the value alone, the same unit: `15`, `15 cm` for `15\text{ cm}` | another known unit: `15\text{ m}` |
    | degrees | radians: `\frac{\pi}{6}` for `30^\circ` | `30` for `\frac{\pi}{6}` |
    | thousands | comma groups of three: `1,024` for `1024` | `32, 349` for `32349`: a list |
    | number in words | `forty-two`, `四十二` for `42` | |
    | ratio | the same up to a factor: `10:6` for `5:3`, `2:4:6` for `1:2:3` | `1:6` for `1:2:3` |
    | number base | the same base: `101_2`; no base is ten | `5` for `5_8`, `110_{10}` for `110_2` |
    | one letter | a choice, alone or with its text: `(C) Plane` for `C` | another case: `c` for `C`, `X` for `x` |
    | points, words | the same letters in order; words in either case | `BA` for `AB` |
    | set, tuple, interval | the same elements and brackets; the inequality that says the same | `(2,1)` for `(1,2)` |
    | equation | rearranged: `2x+y=3` for `y=3-2x` | unsolved: `2x=4` for `x=2` |
    | plain number (`require_simplified`) | `\frac24` for `\frac12` | `41+1`, `2^3`, `\sqrt{49}`, `\sum_{k=1}^{100}k` |

    Reason codes: `num_eq`, `num_ne`, `str_eq`, `letter`, `symbolic_eq`, `unequal`, `no_answer`, `multi_answer`,
    `too_long`, `forbidden_op`, `unparsable`.

    Args:
        require_simplified: `number` refuses sums, products, powers and functions where the reference is a plain number;
            `nothing` evaluates them.
        last_number: Where no answer is marked as one, the last number of the completion is taken for it. It pays
            guesses and working that breaks off, so only for data sets whose policies are taught no form of answer.
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.
    """

    name = "math"
    version = "4"
    isolated = True
    cacheable = True
    example = Rollout(
        id="example", completion=r"So the area is \boxed{2\pi r^2}.", reference=MathReference([r"$r^2 \cdot 2\pi$"])
    )

    def __init__(
        self,
        require_simplified: Literal["number", "nothing"] = "number",
        last_number: bool = False,
        thinking: Sequence[Sequence[str]] = (),
    ) -> None:
        if require_simplified not in ("number", "nothing"):
            raise ValueError(f"require_simplified must be 'number' or 'nothing', not {require_simplified!r}")
        if type(last_number) is not bool:
            raise ValueError(f"last_number must be true or false, not {last_number!r}")
        self._policy = require_simplified
        self._answers = partial(answers, tags=with_tags(thinking), guess=last_number)
        warm()

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """One outcome per rollout, in order.

        Raises:
            MemoryError, RecursionError: A limit of this process was hit.
        """
        return score_each(rollouts, self._judge)

    def key(self, rollout: Rollout) -> tuple[str, ...] | None:
        """What its value and reason depend on: the policy, the references and the canonical answer. Not `span`.

        None where no answer is settled on, or one too long to be judged; those cost less than their key.

        Raises:
            InvalidReferenceError: The reference is none that can be compared with.
        """
        references = _references(rollout)
        found = self._answers(rollout.completion)
        text = _one(found, [read_gold(reference) for reference in references]) if found else None
        if text is None or len(text) > MAX_LENGTH:
            return None
        return (self._policy, *references, canonical(text))

    def _judge(self, rollout: Rollout) -> Score:
        references = _references(rollout)
        golds = [read_gold(reference) for reference in references]
        found = self._answers(rollout.completion)
        if not found:
            return Score(0.0, "no_answer")
        text = _one(found, golds)
        if text is None:
            return Score(0.0, "multi_answer", parsed=", ".join(a.text for a in found)[:MAX_LENGTH], span=_span(found))
        best = _best(references, text, self._policy == "number")
        return Score(float(best.right), best.reason, parsed=text[:MAX_LENGTH], span=_span(found))


def _references(rollout: Rollout) -> Sequence[str]:
    reference = expect_reference(rollout, MathReference)
    if not reference.answers:
        raise InvalidReferenceError("a math reference needs at least one answer")
    return reference.answers


def _one(found: Sequence[Answer], golds: Sequence[Gold]) -> str | None:
    """The text of the answer; None if several different ones are given where the reference is no list."""
    if len(found) == 1 or len({_value(answer.text[:MAX_LENGTH]) for answer in found}) == 1:
        return found[-1].text
    return ",".join(answer.text for answer in found) if any(_is_list(gold) for gold in golds) else None


def _best(references: Sequence[str], text: str, simplified: bool) -> Match:
    """How the answer matches the first reference that it equals, else the first."""
    if len(text) > MAX_LENGTH:
        return Match(False, "too_long")
    spelling = canonical(text)
    matches = (_match(reference, spelling, simplified) for reference in references)
    first = next(matches)
    return first if first.right else next((match for match in matches if match.right), first)


@lru_cache(maxsize=_REMEMBERED)
def _match(reference: str, spelling: str, simplified: bool) -> Match:
    return match(read_gold(reference), spelling, simplified)


def _span(found: Sequence[Answer]) -> tuple[int, int]:
    return found[0].start, found[-1].end


def _value(text: str) -> object:
    """What makes two answers side by side the same answer: the number, else the spelling."""
    spelling = canonical(text)
    number = read_number(spelling)
    return spelling if number is None else (number.value, number.percent)


def _is_list(gold: Gold) -> bool:
    return "," in gold.value or ";" in gold.value
