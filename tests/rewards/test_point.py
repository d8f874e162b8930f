"""Points answered against reference regions."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rewardmesh.contract import AnswerSpace, Box, InvalidReferenceError, Point, PointReference, Polygon, Rollout, Size
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.rewards.point.reward import PointReward
from tests.rewards.tables import table

_number = st.floats(0, 1000) | st.decimals(0, 1000, places=2).map(float)
_point = st.builds(Point, _number, _number)


def _regions(rows):
    return [
        Box(*row["box"]) if "box" in row else Polygon(tuple(Point(*vertex) for vertex in row["polygon"]))
        for row in rows
    ]


def _score(completion, reference, space=None, options=None, truncated=False):
    rollout = Rollout("r", completion, reference=reference, answer_space=space, truncated=truncated)
    return PointReward(**options or {}).score([rollout])[0]


@pytest.mark.parametrize("case", table("point"))
def test_table(case):
    size = case.get("image_size")
    reference = PointReference(
        _regions(case["regions"]), image_size=size and Size(*size), refusal=case.get("refusal", False)
    )
    score = _score(case["completion"], reference, None, case.get("options"), case.get("truncated", False))
    assert (score.value, score.reason) == (pytest.approx(case["value"]), case["reason"])
    for name, value in case.get("components", {}).items():
        assert score.components[name] == pytest.approx(value), name


@given(_point, _point, _point, st.sampled_from(["gaussian", "distance"]), st.floats(0.05, 10))
def test_shaping_never_pays_a_miss_more_than_a_hit(a, b, point, shaping, sigma):
    box = Box(min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y))
    assume((box.x2 - box.x1) * (box.y2 - box.y1) > 0)
    score = _score(f"({point.x!r}, {point.y!r})", PointReference([box]), options={"shaping": shaping, "sigma": sigma})
    if score.reason == "ok":
        assert score.value >= 0.5
        middle = as_answer(PointReference([box]))
        assert score.value <= _score(middle, PointReference([box]), options={"shaping": shaping, "sigma": sigma}).value
    else:
        assert score.value <= 0.5


@given(_point, _point, st.floats(1e-3, 900), st.sampled_from(["none", "gaussian", "distance"]))
def test_shaping_does_not_change_with_the_scale(a, point, scale, shaping):
    def at(s):
        region = Box(a.x * s, a.y * s, (a.x + 30) * s, (a.y + 20) * s)
        return _score(f"({point.x * s!r}, {point.y * s!r})", PointReference([region]), options={"shaping": shaping})

    assert at(1).value == pytest.approx(at(scale).value, abs=1e-6)


@pytest.mark.parametrize("width", [1919, 1280, 333])
def test_a_boundary_stays_one_in_another_space(width):
    reference = PointReference([Box(width * 0.3, 1, width * 0.7, 9)], image_size=Size(width, 10))
    for x in (300, 700):
        assert _score(f"({x}, 500)", reference, AnswerSpace("relative_1000")).value == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"shaping": "linear"}, "none, gaussian or distance"),
        ({"shaping": "gaussian", "sigma": 0}, "above 0"),
        ({"sigma": math.nan}, "nan"),
        ({"sigma": "1"}, "'1'"),
        ({"answer_space": {"kind": "inches"}}, "'inches'"),
    ],
)
def test_a_bad_option_is_told(options, says):
    with pytest.raises(ValueError, match=says):
        PointReward(**options)


@given(_point, _point)
def test_its_own_box_is_right(a, b):
    box = Box(min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y))
    if (box.x2 - box.x1) * (box.y2 - box.y1) > 0:
        assert _score(as_answer(PointReference([box])), PointReference([box])).value == 1


@given(st.lists(_point, min_size=3, max_size=8))
def test_its_own_polygon_is_right_even_if_it_crosses_itself(vertices):
    outcome = _score(as_answer(PointReference([Polygon(tuple(vertices))])), PointReference([Polygon(tuple(vertices))]))
    if isinstance(outcome, InvalidReferenceError):
        assert "no area" in str(outcome)
    else:
        assert outcome.value == 1


def test_its_own_refusal_is_right():
    reference = PointReference([], refusal=True)
    assert _score(as_answer(reference), reference).value == 1


def test_a_space_with_y_first():
    reference = PointReference([Box(90, 40, 110, 60)], image_size=Size(1000, 500))
    assert _score("[100, 100]", reference, AnswerSpace("relative_1000")).value == 1
    assert _score('{"point": [100, 100]}', reference, AnswerSpace(preset="gemini")).value == 1
    assert _score("[50, 100]", reference, AnswerSpace(order="yxyx")).value == 1
    assert _score("[50, 100]", reference).value == 0


@pytest.mark.parametrize("completion", ["(5, 5)", "", "(-1, -1)"])
@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (PointReference([]), "region"),
        (PointReference([Box(5, 5, 1, 1)]), "regions[0] [5, 5, 1, 1] is swapped"),
        (PointReference([Box(0, 0, 9, 9), Box(5, 5, 5, 9)]), "regions[1] [5, 5, 5, 9] is degenerate"),
        (PointReference([Box(-5, -5, 9, 9)]), "negative"),
        (PointReference([Box(0, 0, 9, math.nan)]), "non_finite"),
        (PointReference([Box(0, 0, 99, 9)], image_size=Size(50, 50)), "out_of_bounds"),
        (PointReference([Polygon((Point(0, 0), Point(1, 1)))]), "vertices"),
        (PointReference([Polygon((Point(0, 0), Point(1, 1), Point(2, 2)))]), "no area"),
        (PointReference([Polygon((Point(0, 0), Point(1, 1), Point(math.inf, 2)))]), "non_finite"),
        (PointReference([Polygon(tuple(Point(i, i % 7) for i in range(65)))]), "65"),
    ],
)
def test_a_reference_that_makes_no_sense_is_never_a_score(completion, reference, says):
    outcome = _score(completion, reference)
    assert isinstance(outcome, InvalidReferenceError)
    assert says in str(outcome)


@given(st.text("[](){}<>,. -+e0123456789naif\"'xypoint=click", max_size=60))
def test_any_text_gets_a_score(text):
    assert _score(text, PointReference([Box(0, 0, 10, 10)])).value in (0, 1)


@pytest.mark.timeout(30)  # backtracking would take hours
@pytest.mark.parametrize(
    "piece", ["(", "(1,", "<answer>1</answer>", "<point>", 'x="1" ', "<|box_start|>(1,2),", "not ", "no such"]
)
def test_hostile_text_is_read_in_linear_time(piece):
    _score(piece * (256 * 1024 // len(piece)), PointReference([Box(0, 0, 1, 1)]))
