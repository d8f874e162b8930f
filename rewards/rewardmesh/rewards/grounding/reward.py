"""Visual grounding: boxes answered against reference boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rewardmesh.contract import AnswerSpace, Box, BoxReference, Rollout, Score
from rewardmesh.rewards.answer import with_tags
from rewardmesh.rewards.base import expect_reference
from rewardmesh.rewards.each import score_each
from rewardmesh.rewards.grounding.match import match
from rewardmesh.rewards.grounding.scorer import Pay, ScorerName, pay_by, pay_from
from rewardmesh.rewards.grounding.threshold import Threshold
from rewardmesh.rewards.grounding.truth import MAX_BOXES, Truth, normal, read_truth
from rewardmesh.rewards.visual.declared import space_option
from rewardmesh.rewards.visual.fit import covers, fit_box
from rewardmesh.rewards.visual.options import flag_option, penalty_option
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES, Candidate, boxes
from rewardmesh.rewards.visual.space import Frame, frame
from rewardmesh.rewards.visual.unanswered import unanswered


class GroundingReward:
    """How well the answered boxes overlap the reference boxes.

    By default (GIoU + 1) / 2, as in MiMo-VL (arXiv 2506.03569, section 3), mapped to [0, 1] so that near misses are
    ordered. One reference box takes the one box answered; different boxes side by side are `ambiguous`, the same box
    again is not. Several reference boxes are matched one to one with the boxes answered so that the matches earn most,
    and the value is their soft F1, 2 * (sum of the matches' scores) / (boxes asked for + boxes answered): missing boxes
    and junk cost alike. Where the reference has labels, boxes match only if their labels agree but for case and spaces;
    boxes without a label agree where all reference boxes have the same.

    Args:
        scorer: What a match earns. `giou`: (GIoU + 1) / 2. `giou_clip`: max(GIoU, 0). `iou`. `diou`: (DIoU + 1) / 2.
            `ciou`: max((CIoU + 1) / 2, 0). `threshold`: 1 if the IoU is at least `threshold`, else 0.
        threshold: For that scorer: an IoU, or stages by training step, `grounding.threshold.Threshold`.
        labels: Whether labels have to agree.
        whole_penalty: The share of its value that an answer loses in which a box covers 95 % of the image and none of
            the reference does. Such answers have the component `whole_frame` in any case.
        answer_space: The space of rollouts that declare none, `visual.declared.space_option`.
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.

    Raises:
        ValueError: An option is none of the above; the message says what it may be.
    """

    name = "grounding"
    version = "4"
    inline = True
    reads = ("completion", "reference", "answer_space", "truncated", "step")
    example: ClassVar[Rollout] = Rollout(
        "example",
        '[{"bbox_2d": [10, 20, 110, 220], "label": "cat"}]',
        reference=BoxReference([Box(10, 20, 110, 220)]),
        answer_space=AnswerSpace("pixels"),  # whatever the options say
    )

    def __init__(
        self,
        scorer: ScorerName = "giou",
        threshold: float | Sequence[Mapping[str, Any]] = 0.5,
        labels: bool = True,
        whole_penalty: float = 0.0,
        answer_space: Mapping[str, Any] | None = None,
        thinking: Sequence[Sequence[str]] = (),
    ) -> None:
        self._threshold = Threshold(threshold)
        self._pay = None if scorer == "threshold" else pay_by(scorer)
        self._by_label = flag_option("labels", labels)
        self._keeps = 1 - penalty_option(whole_penalty)
        self._space = space_option(answer_space)
        self._tags = with_tags(thinking)

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """A Score per rollout, with the components of `grounding.match.Match`, or the error that makes it a Failure.

        InvalidReferenceError, InvalidRolloutError (an unknown answer space, a step that is needed and missing) or
        SpaceUndeclaredError.
        """
        return score_each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Score:
        reference = expect_reference(rollout, BoxReference)
        view = frame(rollout.answer_space, reference, self._space)
        truth = read_truth(reference, view.extent)
        pay = self._pay or pay_from(self._threshold.at(rollout.step))
        several = len(truth.boxes) > 1
        found = boxes(rollout.completion, self._tags, several, labelled=bool(truth.labels))
        if not found:
            return unanswered(rollout, self._tags)
        if len(found) > (MAX_BOXES if several else MAX_CANDIDATES):
            return Score(0.0, "too_many", f"more than {MAX_BOXES} boxes were answered", "", _span(found))
        if len(found) > 1 and not several:
            named = self._by_label and bool(truth.labels)
            different = len({(one.numbers, normal(one.label) if named else "") for one in found})
            if different > 1:
                said = f"{different} different boxes were answered where one was asked for"
                return Score(0.0, "ambiguous", said, _parsed(found), _span(found))
            found = found[-1:]
        return self._compare(truth, found, view, pay)

    def _compare(self, truth: Truth, answers: Sequence[Candidate], view: Frame, pay: Pay) -> Score:
        found: list[Box] = []
        labels: list[str] = []
        problem = ""
        whole = False
        extent = view.extent
        for candidate in answers:
            numbers = candidate.numbers
            if len(numbers) != 4:  # the location tokens of a point
                problem = problem or "degenerate"
                continue
            box, wrong = fit_box(view.box(numbers, candidate.space, candidate.named), extent)
            if wrong:
                problem = problem or wrong
            else:
                found.append(box)
                labels.append(normal(candidate.label) if truth.labels else "")
                whole = whole or covers(box, extent)
        parsed, span = _parsed(answers), _span(answers)
        if not found:
            return Score(0.0, problem, "no answered box makes sense", parsed, span)
        matched = match(truth, found, labels, len(answers), pay, self._by_label)
        value, reason = matched.value, problem or ("label_mismatch" if matched.mislabelled else "ok")
        components = matched.components
        if extent is not None:
            whole = whole and not truth.whole
            components["whole_frame"] = 1.0 if whole else 0.0
            if whole and self._keeps < 1:
                value, reason = value * self._keeps, "whole_frame"
        return Score(value, reason, "", parsed, span, components)


def _parsed(answers: Sequence[Candidate]) -> str:
    if len(answers) == 1:  # most rollouts
        return f"[{list(answers[0].numbers)}]"
    return str([list(one.numbers) for one in answers])


def _span(answers: Sequence[Candidate]) -> tuple[int, int]:
    return answers[0].start, answers[-1].end
