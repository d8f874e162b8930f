"""Boxes answered against reference boxes."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import Box, BoxReference, CountReference, InvalidReferenceError, Rollout, Size
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.rewards.grounding.overlap import assign, iou_giou
from rewardmesh.rewards.grounding.reward import GroundingReward
from tests.rewards.tables import table

_side = st.floats(0, 1000) | st.integers(0, 1000).map(float) | st.decimals(0, 1000, places=2).map(float)
_boxes = st.builds(lambda a, b, c, d: Box(min(a, c), min(b, d), max(a, c), max(b, d)), *[_side] * 4).filter(
    lambda box: box.x2 - box.x1 > 1e-6 and box.y2 - box.y1 > 1e-6
)


def _score(completion, boxes, image_size=None, **fields):
    reference = BoxReference(boxes, image_size=image_size, **fields)
    return GroundingReward().score([Rollout("r", completion, reference=reference)])[0]


@pytest.mark.parametrize("case", table("grounding"))
def test_table(case):
    size = case.get("image_size")
    score = _score(case["completion"], [Box(*box) for box in case["boxes"]], size and Size(*size))
    assert (score.value, score.reason) == (pytest.approx(case["value"]), case["reason"])


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


@given(_boxes, _boxes)
def test_overlap_is_symmetric_and_bounded(a, b):
    iou, giou = iou_giou(a, b)
    assert (iou, giou) == pytest.approx(iou_giou(b, a))
    assert -1 <= giou <= iou <= 1
    assert iou >= 0
    assert iou_giou(a, a) == (1, 1)


def test_overlap_by_hand():
    assert iou_giou(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx((1 / 7, 1 / 7 - 2 / 9))
    assert iou_giou(Box(0, 0, 1, 1), Box(3, 0, 4, 1)) == pytest.approx((0, -0.5))
    assert iou_giou(Box(0, 0, 1, 1), Box(1, 0, 2, 1)) == pytest.approx((0, 0))


@given(
    st.integers(0, 4).flatmap(
        lambda n: st.lists(st.lists(st.floats(-1, 1), min_size=5, max_size=5), min_size=n, max_size=n)
    )
)
def test_no_assignment_is_better(weights):
    columns = assign(weights)
    assert len(set(columns)) == len(weights)
    best = max(
        math.fsum(row[j] for row, j in zip(weights, chosen, strict=True))
        for chosen in itertools.permutations(range(5), len(weights))
    )
    assert math.fsum(row[j] for row, j in zip(weights, columns, strict=True)) == pytest.approx(best)


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
