"""Ways to be paid for less than the right answer, or not to be paid for it, that other rewards are known to have."""

from __future__ import annotations

import json

import pytest

from rewardmesh.contract import InvalidReferenceError, Rollout, Score, Segment, SegmentReference
from rewardmesh.contract.json_form import read_rollout
from rewardmesh.rewards.registry import load
from rewardmesh.rewards.temporal import TemporalReward
from tests.rewards.tables import table


def _score(case, completion):
    fields = {name: case[name] for name in ("task", "reference", "truncated") if name in case}
    rollout = read_rollout(json.dumps({"id": "r", "completion": completion, **fields}))
    return load(case["task"])(**case.get("options", {})).score([rollout])[0]


@pytest.mark.parametrize("case", table("defects"))
def test_it_does_not_pay(case):
    score = _score(case, case["completion"])
    assert (score.value, score.reason) == (pytest.approx(case["value"]), case["reason"])
    if "honest" in case:
        honest = _score(case, case["honest"])
        assert honest.reason in ("ok", "wrong", "outside")
        assert score.value <= honest.value, "an honest wrong answer earns no less"


def test_a_reference_without_length_takes_no_score_from_its_neighbours():
    good, zero = SegmentReference([Segment(10, 20)]), SegmentReference([Segment(15, 15)])
    rollouts = [Rollout(str(i), "[10, 20]", reference=r) for i, r in enumerate([good, zero, good])]
    first, second, third = TemporalReward().score(rollouts)
    assert isinstance(first, Score)
    assert isinstance(second, InvalidReferenceError)
    assert isinstance(third, Score)
    assert (first.value, third.value) == (1, 1)
