"""Time segments in the formats models write."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rewardmesh.contract import (
    AnswerSpace,
    InvalidReferenceError,
    InvalidRolloutError,
    Rollout,
    Segment,
    SegmentReference,
)
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.rewards.temporal import TemporalReward
from rewardmesh.rewards.visual.segments import iou
from tests.rewards.tables import table

_time = st.decimals(0, 20000, places=3).map(float)


def _score(completion, segments, duration=None, space=None, options=None, truncated=False):
    reference = SegmentReference(segments, duration)
    rollout = Rollout("r", completion, reference=reference, answer_space=space, truncated=truncated)
    return TemporalReward(**options or {}).score([rollout])[0]


@pytest.mark.parametrize("case", table("temporal"))
def test_table(case):
    space = AnswerSpace(case["space"]) if "space" in case else None
    segments = [Segment(*segment) for segment in case["segments"]]
    fields = {name: case[name] for name in ("duration", "options", "truncated") if name in case}
    score = _score(case["completion"], segments, space=space, **fields)
    assert (score.value, score.reason) == (pytest.approx(case["value"]), case["reason"])
    for name, value in case.get("components", {}).items():
        assert score.components[name] == pytest.approx(value), name


@given(st.lists(st.tuples(_time, _time).filter(lambda s: s[0] != s[1]), min_size=1, max_size=3), st.booleans())
def test_its_own_reference_is_right(pairs, known):
    segments = [Segment(min(pair), max(pair)) for pair in pairs]
    duration = max(segment.end for segment in segments) if known else None
    assert _score(as_answer(SegmentReference(segments)), segments, duration).value == 1


_slots = st.sets(st.integers(0, 30), min_size=1)  # seconds of a video that are in a set of segments


def _segments(slots):
    return [Segment(float(i), float(i + 1)) for i in sorted(slots)]


@given(_slots, _slots)
def test_union_agrees_with_sets_of_seconds(answered, asked):
    score = _score(as_answer(SegmentReference(_segments(answered))), _segments(asked), options={"mode": "union"})
    both = len(answered & asked)
    assert score.value == pytest.approx(both / len(answered | asked), abs=1e-9)
    assert score.components["precision"] == pytest.approx(both / len(answered), abs=1e-9)
    assert score.components["recall"] == pytest.approx(both / len(asked), abs=1e-9)


_pair = st.tuples(st.integers(0, 99), st.integers(0, 99)).filter(lambda p: p[0] < p[1])


def _exact(a, b):
    both = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return Fraction(both, a[1] - a[0] + b[1] - b[0] - both)


@given(st.lists(_pair, min_size=2, max_size=4, unique=True), st.lists(_pair, min_size=1, max_size=4, unique=True))
def test_every_mode_agrees_with_exact_arithmetic(asked, answered):
    truth = [Segment(*map(float, pair)) for pair in asked]
    completion = as_answer(SegmentReference([Segment(*map(float, pair)) for pair in answered]))
    best = max(_exact(answered[0], pair) for pair in asked)
    first = _score(completion, truth)
    assert first.value == first.components["iou"] == pytest.approx(float(best), abs=1e-9)
    few, many = sorted((asked, answered), key=len)
    total = max(
        sum(_exact(a, b) for a, b in zip(few, chosen, strict=True)) for chosen in itertools.permutations(many, len(few))
    )
    matched = _score(completion, truth, options={"mode": "f1"})
    assert matched.value == pytest.approx(float(2 * total / (len(asked) + len(answered))), abs=1e-9)
    assert matched.components["iou"] == first.value


@given(_pair, _pair, st.floats(1e-2, 1e2))
def test_overlap_is_symmetric_bounded_and_has_no_scale(a, b, scale):
    def at(x, y, s):
        return iou(Segment(x[0] * s, x[1] * s), Segment(y[0] * s, y[1] * s))

    assert at(a, b, 1) == at(b, a, 1) == pytest.approx(float(_exact(a, b)), abs=1e-9)
    assert at(a, b, scale) == pytest.approx(at(a, b, 1), abs=1e-9)
    assert 0 <= at(a, b, 1) <= 1
    assert at(a, a, scale) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "mean"}, "best, union, f1"),
        ({"whole_penalty": -1}, "0 .none. to 1"),
        ({"answer_space": {"kind": "pixels"}}, "seconds or percent"),
    ],
)
def test_a_bad_option_is_told(options, says):
    with pytest.raises(ValueError, match=says):
        TemporalReward(**options)


@given(st.floats(0, 1e6), st.floats(1e-3, 1e3))
def test_any_decimals_of_its_own_reference_are_right(start, length):
    segment = Segment(start, start + length)
    assert _score(as_answer(SegmentReference([segment])), [segment]).value == pytest.approx(1, abs=1e-5)


@given(_time, _time, st.sampled_from(["{}s-{}s", "[{}, {}]", "from {} to {} seconds", '{{"start": {}, "end": {}}}']))
def test_seconds_in_any_dress(start, end, dress):
    assume(start < end)
    assert _score(dress.format(start, end), [Segment(start, end)]).value == 1


@pytest.mark.parametrize("completion", ["[0, 10]", "", "[10, 0]"])
@pytest.mark.parametrize(
    ("segments", "duration", "says"),
    [
        ([], None, "at least one"),
        ([Segment(10, 0)], None, "segments[0] [10, 0] is swapped"),
        ([Segment(0, 5), Segment(5, 5)], None, "segments[1] [5, 5] is degenerate"),
        ([Segment(math.nan, 5)], None, "non_finite"),
        ([Segment(0, math.inf)], None, "non_finite"),
        ([Segment(-1, 5)], None, "out_of_bounds"),
        ([Segment(0, 1e12)], None, "out_of_bounds"),
        ([Segment(0, 25)], 20.0, "out_of_bounds in a video of 20.0 s"),
        ([Segment(20, 20.5)], 20.0, "degenerate"),
        ([Segment(0, 5)], 0.0, "duration"),
        ([Segment(0, 5)], math.nan, "duration"),
        ([Segment(0, 5)], math.inf, "duration"),
    ],
)
def test_a_reference_that_makes_no_sense_is_never_a_score(completion, segments, duration, says):
    outcome = _score(completion, segments, duration)
    assert isinstance(outcome, InvalidReferenceError)
    assert says in str(outcome)


def test_spaces_of_time():
    segment = [Segment(30, 60)]
    assert isinstance(_score("25 to 50", segment, None, AnswerSpace("percent")), InvalidReferenceError)
    assert isinstance(_score("25 to 50", segment, 120.0, AnswerSpace("pixels")), InvalidRolloutError)
    assert _score("30 to 60", segment, 120.0, AnswerSpace(preset="molmo")).value == 1


@given(st.text("[](){}<>,. -–:0123456789sminfa\"'第秒到分to", max_size=60))
def test_any_text_gets_a_score(text):
    assert 0 <= _score(text, [Segment(0, 10)]).value <= 1


@pytest.mark.timeout(30)  # backtracking would take hours
@pytest.mark.parametrize(
    "piece", ["1:", "1:1", "1 ", "[1,2] ", "1s-2s or ", "1 to ", "0:00a", "1 h ", "1'", "0:0\t", "to ", "1" + " " * 99]
)
def test_hostile_text_is_read_in_linear_time(piece):
    _score(piece * (256 * 1024 // len(piece)), [Segment(0, 1)])
