"""GUI grounding: 1 for a point in the reference region, else 0."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from rewardmesh.contract import AnswerSpace, Box, Point, PointReference, Rollout, Score
from rewardmesh.rewards.answer import Tags, with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.point.region import inside, read_regions
from rewardmesh.rewards.visual.declared import Declared, space_option
from rewardmesh.rewards.visual.fit import fit_box, fit_point
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES, points
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.space import frame

# What models say instead of a point when there is nothing to point at. It counts only if no point is answered.
_REFUSAL = re.compile(
    r"\b(?:refus(?:e|ed|al)|infeasible|(?:not|n't|cannot be) (?:found|visible|present|shown|exist|find|see|locate)"
    r"|(?:cannot|unable to) (?:find|see|locate)|no such)\b|不存在|没有找到|找不到|无法找到|未找到",
    re.IGNORECASE,
)


class PointReward:
    """1 if the answered point lies in one of the reference regions, else 0, as in MiMo-VL (arXiv 2506.03569).

    A box answered instead of a point stands for its centre. Different points side by side are `ambiguous`. A point
    whose coordinates are both negative is a refusal (as in OSWorld-G), and so is saying that it is not there; a refusal
    is right where the reference says `refusal`, and wrong elsewhere.

    Args:
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.
        answer_space: The space of the answers to rollouts that declare none, `{preset: qwen2.5-vl}` say; see
            `visual.declared.space_option`.
    """

    name = "point"
    version = "2"
    inline = True
    reads = ("completion", "reference", "answer_space")
    example: ClassVar[Rollout] = Rollout(
        "example",
        '{"action": "click", "start_point": [60, 40]}',
        reference=PointReference([Box(10, 20, 110, 220)]),
        answer_space=AnswerSpace("pixels"),  # whatever the options say
    )

    def __init__(self, thinking: Sequence[Sequence[str]] = (), answer_space: Mapping[str, Any] | None = None) -> None:
        self._tags = with_tags(thinking)
        self._space = space_option(answer_space)

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, or InvalidReferenceError, InvalidRolloutError or SpaceUndeclaredError."""
        return score_each(rollouts, partial(_score, tags=self._tags, default=self._space))


def _score(rollout: Rollout, tags: Tags, default: Declared) -> Score:
    reference = expect_reference(rollout, PointReference)
    view = frame(rollout.answer_space, reference, default)
    shapes = read_regions(reference, view)
    found = points(rollout.completion, tags)
    if len(found) > MAX_CANDIDATES:
        return Score(0.0, "too_many", f"more than {MAX_CANDIDATES} points were answered")
    different = len({candidate.numbers for candidate in found})
    if different > 1:
        return Score(0.0, "ambiguous", f"{different} different points were answered")
    if not found:
        return _refused(reference) if _says_no(rollout.completion, tags) else Score(0.0, "no_answer")
    answer = found[-1]
    parsed, span = str([round(n, 6) for n in answer.numbers]), (answer.start, answer.end)
    if all(number < 0 for number in answer.numbers):
        return _refused(reference, parsed, span)
    if len(answer.numbers) == 4:
        box, problem = fit_box(view.box(answer.numbers, answer.space), view.extent)
        point = Point((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2)
    else:
        point, problem = fit_point(view.point(answer.numbers, answer.space), view.extent)
    if problem or reference.refusal:
        return Score(0.0, problem or "refusal_expected", "", parsed, span)
    return Score(1.0, "ok", "", parsed, span) if inside(shapes, point) else Score(0.0, "outside", "", parsed, span)


def _refused(reference: PointReference, parsed: str = "refusal", span: tuple[int, int] | None = None) -> Score:
    return Score(*((1.0, "ok") if reference.refusal else (0.0, "refused_wrongly")), "", parsed, span)


def _says_no(completion: str, tags: Tags) -> bool:
    return any(_REFUSAL.search(piece.text) for pieces in places(completion, tags) for piece in pieces)
