"""GUI actions: the right kind of action, at the right place, with the right text or direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from rewardmesh.contract import (
    ActionReference,
    AnswerSpace,
    Box,
    Rollout,
    Score,
)
from rewardmesh.rewards.action.kind import kind_of
from rewardmesh.rewards.action.target import Target
from rewardmesh.rewards.action.text import normalised
from rewardmesh.rewards.answer import with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.visual.actions import ActionCandidate, actions
from rewardmesh.rewards.visual.declared import space_option
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES
from rewardmesh.rewards.visual.unanswered import unanswered

_HEAVIEST = 1e6  # sums of weights must stay finite
_SHOWN = 200  # characters of a text in a Score's `parsed`
# The kind alone earns nothing, or always clicking would pay: a step is right when its arguments are.
WEIGHTS = {"type": 0.0, "point": 1.0, "text": 1.0, "direction": 1.0}


class ActionReward:
    """0 for another kind of action than the reference's; else the weighted mean of the parts that the reference has.

    The parts are 1 or 0. The kind must match as in GUI-R1 (arXiv 2504.10458) and UI-R1 (arXiv 2503.21620), names apart:
    a tap is a click (`kind_of`). `point`: the action is, or begins, in the region, whose boundary belongs to it; a box
    stands for its centre. `text`: the same but for case and white space, for keys in any order. `direction`: the same;
    that of a swipe or a drag follows from where it begins and ends, if it is not named. What the reference does not
    have is not asked for, so an action without arguments is right by its kind. Different actions side by side are
    `ambiguous`.

    Args:
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.
        answer_space: The space of the answers to rollouts that declare none; see `visual.declared.space_option`.
        weights: Over `WEIGHTS`, each 0 to 1e6; a weight for `type` pays for the right kind alone.
        text_f1: A text is right from this token F1 on, in (0, 1], as in GUI-R1 (0.5); None: only if it is the same.

    Raises:
        ValueError: An option makes no sense; the message says which.
    """

    name = "action"
    version = "1"
    inline = True
    reads = ("completion", "reference", "answer_space", "truncated")
    example: ClassVar[Rollout] = Rollout(
        "example",
        '{"action": "click", "start_point": [60, 40]}',
        reference=ActionReference("click", Box(10, 20, 110, 220)),
        answer_space=AnswerSpace("pixels"),  # whatever the options say
    )

    def __init__(
        self,
        thinking: Sequence[Sequence[str]] = (),
        answer_space: Mapping[str, Any] | None = None,
        weights: Mapping[str, float] | None = None,
        text_f1: float | None = None,
    ) -> None:
        self._tags = with_tags(thinking)
        self._space = space_option(answer_space)
        self._weights = WEIGHTS | _checked(weights or {})
        if text_f1 is not None and not 0 < text_f1 <= 1:
            raise ValueError(f"text_f1 must lie in (0, 1], got {text_f1!r:.80}")
        self._text_f1 = text_f1

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, or InvalidReferenceError, InvalidRolloutError or SpaceUndeclaredError.

        Components: `type`, and if that is 1 those of `point`, `text` and `direction` that the reference has, each 1 or
        0; with `text` also `text_f1`, in [0, 1]. No option changes them.
        """
        return score_each(rollouts, self._score)

    def _score(self, rollout: Rollout) -> Score:
        reference = expect_reference(rollout, ActionReference)
        target = Target(reference, rollout.answer_space, self._space)
        found = actions(rollout.completion, self._tags)
        if not found:
            return unanswered(rollout, self._tags)
        if len(found) > MAX_CANDIDATES:
            return Score(0.0, "too_many", f"more than {MAX_CANDIDATES} actions were answered")
        answer, span = found[-1], (found[0].start, found[-1].end)
        different = len({_meaning(candidate) for candidate in found}) if len(found) > 1 else 1
        if different > 1:
            return Score(0.0, "ambiguous", f"{different} different actions were answered", _shown(answer), span)
        if kind_of(answer.type) != target.kind:
            return Score(0.0, "wrong_type", "", _shown(answer), span, {"type": 0.0})
        parts = {"type": 1.0, **target.parts(answer)}
        paid = self._paid(parts)
        wrong = next((part for part, right in paid.items() if not right and self._weights[part]), "")
        reason = target.problem if wrong == "point" else f"wrong_{wrong}" if wrong else "ok"
        total = math.fsum(self._weights[part] for part in paid)
        # Where nothing has a weight, there is nothing but the kind to be right.
        value = math.fsum(self._weights[part] * right for part, right in paid.items()) / total if total else 1.0
        return Score(min(1.0, value), reason, "", _shown(answer), span, parts)

    def _paid(self, parts: Mapping[str, float]) -> dict[str, float]:
        """What of the parts counts for the value."""
        paid = dict(parts)
        f1 = paid.pop("text_f1", 0.0)
        if "text" in paid and self._text_f1 is not None and f1 >= self._text_f1:
            paid["text"] = 1.0
        return paid


def _meaning(answer: ActionCandidate) -> tuple[object, ...]:
    """What two answers have in common if they are the same action."""
    text = None if answer.text is None else normalised(answer.text)
    return kind_of(answer.type), answer.point, answer.end_point, text, normalised(answer.direction or "")


def _shown(answer: ActionCandidate) -> str:
    """The action as it was understood, on one line."""
    points = [list(point) for point in (answer.point, answer.end_point) if point is not None]
    text = [] if answer.text is None else [repr(answer.text[:_SHOWN])]
    return " ".join([answer.type, *map(str, points), *text, answer.direction or ""]).rstrip()


def _checked(weights: object) -> dict[str, float]:
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights must be a mapping such as {{point: 1, text: 0.5}}, not {weights!r:.80}")
    checked: dict[str, float] = {}
    for part, weight in cast(Mapping[object, object], weights).items():
        if part not in WEIGHTS:
            raise ValueError(f"weights are of {', '.join(WEIGHTS)}, not of {part!r:.80}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= _HEAVIEST:
            raise ValueError(f"the weight of {part} must be a number from 0 to {_HEAVIEST:g}, got {weight!r:.80}")
        checked[str(part)] = float(weight)
    return checked
