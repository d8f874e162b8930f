"""GUI grounding: 1 for a point in the reference region, else 0."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rewardmesh.contract import AnswerSpace, Box, Point, PointReference, Rollout, Score
from rewardmesh.rewards.answer import Tags, with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.point.region import read_regions
from rewardmesh.rewards.point.shaping import Shaping, ShapingName
from rewardmesh.rewards.visual.declared import space_option
from rewardmesh.rewards.visual.fit import fit_box, fit_point
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES, points
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.space import frame
from rewardmesh.rewards.visual.unanswered import unanswered

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
        shaping: `none`, or `gaussian` or `distance` to pay more in the middle of a box, `point.shaping.Shaping`.
        sigma: For `gaussian`.
        answer_space: The space of rollouts that declare none, `visual.declared.space_option`.
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.

    Raises:
        ValueError: An option is none of the above; the message says what it may be.
    """

    name = "point"
    version = "3"
    inline = True
    reads = ("completion", "reference", "answer_space", "truncated")
    example: ClassVar[Rollout] = Rollout(
        "example",
        '{"action": "click", "start_point": [60, 40]}',
        reference=PointReference([Box(10, 20, 110, 220)]),
        answer_space=AnswerSpace("pixels"),  # whatever the options say
    )

    def __init__(
        self,
        shaping: ShapingName = "none",
        sigma: float = 0.5,
        answer_space: Mapping[str, Any] | None = None,
        thinking: Sequence[Sequence[str]] = (),
    ) -> None:
        self._shaping = Shaping(shaping, sigma)
        self._space = space_option(answer_space)
        self._tags = with_tags(thinking)

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, with the component `inside` (1 or 0) and, if shaped, `distance`; or a Failure's error.

        InvalidReferenceError, InvalidRolloutError (an unknown answer space) or SpaceUndeclaredError.
        """
        return score_each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Score:
        reference = expect_reference(rollout, PointReference)
        view = frame(rollout.answer_space, reference, self._space)
        shapes = read_regions(reference, view)
        found = points(rollout.completion, self._tags, labelled=False)
        if not found:
            says_no = _says_no(rollout.completion, self._tags)
            return _refused(reference) if says_no else unanswered(rollout, self._tags)
        if len(found) > 1:
            span = found[0].start, found[-1].end
            if len(found) > MAX_CANDIDATES:
                return Score(0.0, "too_many", f"more than {MAX_CANDIDATES} points were answered", "", span)
            different = list(dict.fromkeys(candidate.numbers for candidate in found))
            if len(different) > 1:
                said = f"{len(different)} different points were answered"
                return Score(0.0, "ambiguous", said, str([list(numbers) for numbers in different]), span)
        answer = found[-1]
        numbers = answer.numbers
        parsed, span = str(list(numbers)), (answer.start, answer.end)
        if all(-math.inf < number < 0 for number in numbers):
            return _refused(reference, parsed, span)
        if len(numbers) == 4:
            box, problem = fit_box(view.box(numbers, answer.space, answer.named), view.extent)
            point = Point((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2)
        else:
            point, problem = fit_point(view.point(numbers, answer.space, answer.named), view.extent)
        if problem or reference.refusal:
            return Score(0.0, problem or "refusal_expected", "", parsed, span)
        value, hit, distance = self._shaping(shapes, point)
        components = {"inside": float(hit)}
        if distance is not None:
            components["distance"] = distance
        return Score(value, "ok" if hit else "outside", "", parsed, span, components)


def _refused(reference: PointReference, parsed: str = "refusal", span: tuple[int, int] | None = None) -> Score:
    return Score(*((1.0, "ok") if reference.refusal else (0.0, "refused_wrongly")), "", parsed, span)


def _says_no(completion: str, tags: Tags) -> bool:
    return any(_REFUSAL.search(piece.text) for pieces in places(completion, tags) for piece in pieces)
