"""Boxes answered against reference boxes."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    AnswerSpace,
    Box,
    BoxReference,
    CountReference,
    InvalidReferenceError,
    InvalidRolloutError,
    Rollout,
    Size,
)
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.rewards.grounding.reward import GroundingReward
from tests.rewards.tables import table

SCORERS = ["giou", "giou_clip", "iou", "diou", "ciou", "threshold"]
_side = st.floats(0, 1000) | st.integers(0, 1000).map(float) | st.decimals(0, 1000, places=2).map(float)
_boxes = st.builds(lambda a, b, c, d: Box(min(a, c), min(b, d), max(a, c), max(b, d)), *[_side] * 4).filter(
    lambda box: box.x2 - box.x1 > 1e-6 and box.y2 - box.y1 > 1e-6
)


def _score(completion, boxes, image_size=None, options=None, step=None, truncated=False, **fields):
    reference = BoxReference(boxes, image_size=image_size, **fields)
    rollout = Rollout("r", completion, reference=reference, step=step, truncated=truncated)
    return GroundingReward(**options or {}).score([rollout])[0]


@pytest.mark.parametrize("case", table("grounding"))
def test_table(case):
    size = case.get("image_size")
    fields = {name: case[name] for name in ("labels", "options", "step", "truncated") if name in case}
    score = _score(case["completion"], [Box(*box) for box in case["boxes"]], size and Size(*size), **fields)
    assert (score.value, score.reason) == (pytest.approx(case["value"]), case["reason"])
    for name, value in case.get("components", {}).items():
        assert score.components[name] == pytest.approx(value), name


@given(st.lists(_boxes, min_size=1, max_size=6))
def test_its_own_reference_is_right(boxes):
    score = _score(as_answer(BoxReference(boxes, labels=["it's a [box]"] * len(boxes))), boxes)
    assert (score.value, score.reason) == (pytest.approx(1.0, abs=1e-12), "ok")


@given(st.lists(_boxes, min_size=1, max_size=4), st.lists(_boxes, min_size=1, max_size=4))
def test_junk_boxes_never_pay(truth, junk):
    right, padded = (
        _score(as_answer(BoxReference(truth)), truth),
        _score(as_answer(BoxReference([*truth, *junk])), truth),
    )
    assert padded.value < right.value or set(junk) <= set(truth)


@given(st.lists(_boxes, min_size=2, max_size=4, unique=True), st.sampled_from(SCORERS))
def test_leaving_out_and_adding_cost_alike(truth, scorer):
    options = {"scorer": scorer}
    fewer = _score(as_answer(BoxReference(truth[1:])), truth, options=options)
    more = _score(as_answer(BoxReference(truth)), truth[1:], options=options)
    if len(truth) > 2:  # one box asked for takes one box only
        assert fewer.value == pytest.approx(more.value)
    assert fewer.value == pytest.approx((2 * len(truth) - 2) / (2 * len(truth) - 1))


@given(st.lists(_boxes, min_size=2, max_size=4), st.lists(_boxes, min_size=1, max_size=5), st.sampled_from(SCORERS))
def test_no_matching_earns_more(truth, answered, scorer):
    score = _score(as_answer(BoxReference(answered)), truth, options={"scorer": scorer})
    single = [
        [_score(as_answer(BoxReference([a])), [t], options={"scorer": scorer}).value for a in answered] for t in truth
    ]
    if len(truth) > len(answered):
        single = list(zip(*single, strict=True))
    total = max(
        math.fsum(row[j] for row, j in zip(single, chosen, strict=True))
        for chosen in itertools.permutations(range(len(single[0])), len(single))
    )
    precision, recall = total / len(answered), total / len(truth)
    f1 = 2 * precision * recall / (precision + recall) if total else 0
    assert score.value == pytest.approx(f1, abs=1e-6)
    assert (score.components["precision"], score.components["recall"]) == pytest.approx((precision, recall), abs=1e-6)


def test_a_schedule_needs_the_step():
    options = {"scorer": "threshold", "threshold": [{"until": 9, "iou": 0.5}, {"iou": 0.9}]}
    outcome = _score("[0, 0, 1, 1]", [Box(0, 0, 1, 1)], options=options)
    assert isinstance(outcome, InvalidRolloutError)
    assert "step" in str(outcome)
    assert "step" in GroundingReward.reads


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scorer": "l1"}, "giou, giou_clip, iou, diou, ciou, threshold"),
        ({"threshold": 0}, "above 0"),
        ({"threshold": 1.5}, "at most 1"),
        ({"threshold": True}, "True"),
        ({"threshold": "0.5"}, "'0.5'"),
        ({"threshold": math.nan}, "nan"),
        ({"threshold": []}, "stages"),
        ({"threshold": [{"until": 9, "iou": 0.5}]}, "the last without `until`"),
        ({"threshold": [{"iou": 0.5}, {"iou": 0.5}]}, "until"),
        ({"threshold": [{"until": 9, "iou": 0.5}, {"until": 9, "iou": 0.6}, {"iou": 0.5}]}, "grows"),
        ({"threshold": [{"until": 9, "iou": 0.5}, {"until": 5, "iou": 0.6}, {"iou": 0.5}]}, "grows"),
        ({"threshold": [{"until": 1.5, "iou": 0.5}, {"iou": 0.5}]}, "1.5"),
        ({"threshold": [{"until": 9, "iou": 2}, {"iou": 0.5}]}, "at most 1"),
        ({"labels": "no"}, "'no'"),
        ({"whole_penalty": 2}, "0 (none) to 1"),
        ({"whole_penalty": "1"}, "'1'"),
        ({"answer_space": {"preset": "gpt"}}, "'gpt'"),
    ],
)
def test_a_bad_option_is_told(options, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        GroundingReward(**options)


@pytest.mark.parametrize("completion", ["[0, 0, 10, 10]", "", "[10, 10, 0, 0]"])
@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ([], "0"),
        ([Box(0, 0, 1, 1)] * 65, "65"),
        ([Box(0, 0, 1, 1), Box(5, 5, 5, 9)], "boxes[1] [5, 5, 5, 9] is degenerate"),
        ([Box(9, 0, 1, 1)], "boxes[0] [9, 0, 1, 1] is swapped"),
        ([Box(0, 0, math.nan, 1)], "non_finite"),
        ([Box(0, 0, math.inf, 1)], "non_finite"),
        ([Box(0, 0, 1e300, 1e300)], "out_of_bounds"),
        ([Box(0, 0, 300, 50)], "out_of_bounds"),
    ],
)
def test_a_reference_that_makes_no_sense_is_never_a_score(completion, boxes, says):
    outcome = _score(completion, boxes, Size(100, 100))
    assert isinstance(outcome, InvalidReferenceError)
    assert says in str(outcome)


def test_labels_belong_to_boxes():
    assert isinstance(_score("[0, 0, 1, 1]", [Box(0, 0, 1, 1)], labels=["a", "b"]), InvalidReferenceError)


def test_a_bad_reference_leaves_its_neighbours_alone():
    good, bad = GroundingReward.example, Rollout("bad", "[0, 0, 1, 1]", reference=CountReference(3))
    first, second, third = GroundingReward().score([good, bad, good])
    assert (first.value, third.value) == (1, 1)
    assert isinstance(second, InvalidReferenceError)


def test_a_reference_slightly_outside_the_image_is_met_by_itself():
    box = Box(-0.4, 0, 100.3, 50)
    assert _score(as_answer(BoxReference([box])), [box], Size(100, 50)).value == 1


@pytest.mark.timeout(30)  # backtracking would take hours
@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "[1,",
        "[1 ",
        "(1,2)",
        "[[1,2]",
        "<loc0001>",
        "x=1,y=2,",
        "9",
        "<box>",
        '"x": ',
        "[1.0e",
        " ",
        "<box> 1 ",
        "{",
        "\\boxed{1}",
    ],
)
def test_hostile_text_is_read_in_linear_time(piece):
    _score(piece * (256 * 1024 // len(piece)), [Box(0, 0, 1, 1)])


@given(st.text("[](){}<>,. -+e0123456789naif\"'xyloc_box", max_size=60))
def test_any_text_gets_a_score(text):
    assert 0 <= _score(text, [Box(0, 0, 10, 10), Box(5, 5, 9, 9)]).value <= 1
    assert 0 <= _score(text, [Box(0, 0, 10, 10)], Size(20, 20)).value <= 1


@pytest.mark.parametrize("boxes", [[Box(10, 20, 110, 220)], [Box(10, 20, 110, 220), Box(0, 0, 5, 5)]])
@pytest.mark.parametrize(
    "space", [AnswerSpace("loc_1024"), AnswerSpace("loc_1024", "yxyx"), AnswerSpace("pixels"), None]
)
def test_a_point_in_location_tokens_is_a_box_without_an_area(boxes, space):
    reference = BoxReference(boxes, image_size=Size(1000, 1000))
    score = GroundingReward().score([Rollout("r", "<loc0100><loc0050>", reference=reference, answer_space=space)])[0]
    assert (score.value, score.reason) == (0, "degenerate")
