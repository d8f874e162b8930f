"""Every format that models write boxes, points, actions, times and counts in: what is read, and what it is paid."""

from __future__ import annotations

from typing import Any

import pytest

from rewardmesh.contract import Score
from rewardmesh.contract.json_form import rollout_from_json
from rewardmesh.rewards.action.reward import ActionReward
from rewardmesh.rewards.answer import TAGS
from rewardmesh.rewards.counting import CountingReward
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.numerals import numerals
from rewardmesh.rewards.point.reward import PointReward
from rewardmesh.rewards.temporal import TemporalReward
from rewardmesh.rewards.visual.actions import actions
from rewardmesh.rewards.visual.parse import Candidate, boxes, points
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.times import last_segments

from .tables import table

REWARDS = {
    "box": GroundingReward(),
    "point": PointReward(),
    "action": ActionReward(),
    "segment": TemporalReward(),
    "count": CountingReward(),
}


def shown(candidates: list[Candidate]) -> list[dict[str, Any]]:
    return [{"numbers": list(one.numbers), "label": one.label, "space": one.space} for one in candidates]


def read_actions(completion: str) -> list[dict[str, Any]]:
    return [
        {
            "type": one.type,
            "point": None if one.point is None else list(one.point),
            "end_point": None if one.end_point is None else list(one.end_point),
            "text": one.text,
            "direction": one.direction,
        }
        for one in actions(completion, TAGS)
    ]


def read_segments(completion: str, percent: bool) -> list[list[float]]:
    """The segments of the first place that has any."""
    for pieces in places(completion, TAGS, to_end=True):
        found = [one for piece in pieces for one in last_segments(piece.text, percent) or ()]
        if found:
            return [[one.start_time, one.end_time] for one in found]
    return []


def read_counts(completion: str) -> list[float | None]:
    """The counts of the first place that has any."""
    for pieces in places(completion, TAGS):
        found = [one for piece in pieces for one in numerals(piece.text) or () if not one.ordinal]
        if found:
            return [one.value for one in found]
    return []


@pytest.mark.parametrize("case", table("visual_formats"))
def test_it_is_read_and_paid(case: dict[str, Any]) -> None:
    completion = case["completion"]
    several = len((case["reference"] or {}).get("boxes", "")) != 1
    percent = (case["answer_space"] or {}).get("kind") == "percent"
    found: Any = {
        "box": lambda: shown(boxes(completion, TAGS, several)),
        "point": lambda: shown(points(completion, TAGS)),
        "action": lambda: read_actions(completion),
        "segment": lambda: read_segments(completion, percent),
        "count": lambda: read_counts(completion),
    }[case["kind"]]()
    assert found == case["parsed"], case["name"]
    if case["value"] is None:
        return
    given = {name: case[name] for name in ("completion", "reference", "answer_space") if case[name] is not None}
    [score] = REWARDS[case["kind"]].score([rollout_from_json({"id": "r", **given})])
    assert isinstance(score, Score), (case["name"], score)
    assert score.value == pytest.approx(case["value"]), (case["name"], score)
    if score.span is not None:
        assert 0 <= score.span[0] < score.span[1] <= len(case["completion"]), case["name"]
