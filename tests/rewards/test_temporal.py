"""Time segments in the formats models write."""

from __future__ import annotations

import math

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
from tests.rewards.tables import table

_time = st.decimals(0, 20000, places=3).map(float)


def _score(completion, segments, duration=None, space=None):
    reference = SegmentReference(segments, duration)
    return TemporalReward().score([Rollout("r", completion, reference=reference, answer_space=space)])[0]


@pytest.mark.parametrize("case", table("temporal"))
def test_table(case):
    space = AnswerSpace(case["space"]) if "space" in case else None
    segments = [Segment(*segment) for segment in case["segments"]]
    score = _score(case["completion"], segments, case.get("duration"), space)
    assert (score.value, score.reason) == (pytest.approx(case["value"]), case["reason"])


@given(st.lists(st.tuples(_time, _time).filter(lambda s: s[0] != s[1]), min_size=1, max_size=3), st.booleans())
def test_its_own_reference_is_right(pairs, known):
    segments = [Segment(min(pair), max(pair)) for pair in pairs]
    duration = max(segment.end for segment in segments) if known else None
    assert _score(as_answer(SegmentReference(segments)), segments, duration).value == 1


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
