"""References written as the completion of a policy that got it right."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    ActionReference,
    AnswerSpace,
    Box,
    BoxReference,
    CountReference,
    FreeReference,
    MathReference,
    Point,
    PointReference,
    Polygon,
    PreferenceReference,
    Reference,
    Segment,
    SegmentReference,
)
from rewardmesh.contract.as_answer import answered_in, as_answer

from .strategies import finite, references_of

BOX = Box(10, 20, 30, 50)
TRIANGLE = Polygon((Point(1, 2), Point(5, 2), Point(3, 6)))


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (None, None),
        (MathReference([]), None),
        (MathReference(["\\frac{1}{2}", "0.5"]), "\\boxed{\\frac{1}{2}}"),
        (MathReference([" $x^2$ "]), "\\boxed{x^2}"),
        (PointReference([BOX]), "(20.0, 35.0)"),
        (PointReference([TRIANGLE, BOX]), "(1, 2)"),
        (PointReference([BOX], refusal=True), "(-1, -1)"),
        (PointReference([]), None),
        (CountReference(3), "3"),
        (SegmentReference([Segment(23, 47)]), "[00:23,00:47]"),
        (SegmentReference([Segment(0, 3661.5), Segment(1.25, 2)]), "[00:00,61:01.5], [00:01.25,00:02]"),
        (SegmentReference([Segment(59.9999999999, 119.9999999999)]), "[01:00,02:00]"),
        (PreferenceReference(["good", "bad"]), "good"),
        (PreferenceReference(), None),
        (FreeReference("own", {"x": 1}), None),
    ],
)
def test_the_answer(reference: Reference | None, answer: str | None) -> None:
    assert as_answer(reference) == answer


@pytest.mark.parametrize("labels", [(), ("cat", "dog")])
def test_boxes_are_json_rows(labels: tuple[str, ...]) -> None:
    rows = json.loads(as_answer(BoxReference([BOX, BOX], labels=labels)) or "")
    assert rows == [{"bbox_2d": list(BOX), "label": label} for label in labels or ("", "")]


@pytest.mark.parametrize(
    ("reference", "fields"),
    [
        (ActionReference("click", region=BOX), {"action": "click", "start_point": [20, 35]}),
        (ActionReference("type", text="hello"), {"action": "type", "text": "hello"}),
        (ActionReference("scroll", direction="down"), {"action": "scroll", "direction": "down"}),
    ],
)
def test_actions_are_json(reference: ActionReference, fields: dict[str, Any]) -> None:
    assert json.loads(as_answer(reference) or "") == fields


@pytest.mark.parametrize(
    ("reference", "space"),
    [
        (BoxReference([BOX], "relative_1000"), AnswerSpace("relative_1000")),
        (PointReference([BOX]), AnswerSpace("pixels")),
        (ActionReference("click", region=BOX, space="unit"), AnswerSpace("unit")),
        (SegmentReference([Segment(1, 2)]), AnswerSpace("seconds")),
        (CountReference(3), None),
        (None, None),
    ],
)
def test_the_space_of_the_answer_is_the_references(reference: Reference | None, space: AnswerSpace | None) -> None:
    assert answered_in(reference) == space


@given(st.floats(0, 1e9))
def test_times_read_back_to_the_nanosecond(seconds: float) -> None:
    text = as_answer(SegmentReference([Segment(seconds, 0)])) or ""
    found = re.fullmatch(r"\[(\d\d+):([0-5]\d(?:\.\d{1,9})?),00:00]", text)
    assert found, text
    assert math.isclose(60 * int(found[1]) + float(found[2]), seconds, rel_tol=1e-15, abs_tol=1e-9)


@given(references_of(finite) | references_of(st.floats()))
def test_every_reference_has_an_answer_or_none(reference: Reference) -> None:
    assert isinstance(as_answer(reference), str | None)
