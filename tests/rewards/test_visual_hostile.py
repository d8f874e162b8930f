"""What a policy may write to make the reading of its answer expensive, or break it."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    ActionReference,
    Box,
    BoxReference,
    CountReference,
    PointReference,
    Reference,
    Rollout,
    Score,
    Segment,
    SegmentReference,
)
from rewardmesh.rewards.action.reward import ActionReward
from rewardmesh.rewards.answer import TAGS, Tags
from rewardmesh.rewards.counting import CountingReward
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.point.reward import PointReward
from rewardmesh.rewards.temporal import TemporalReward
from rewardmesh.rewards.visual.actions import actions
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES, boxes, points
from rewardmesh.rewards.visual.sides import Placed
from rewardmesh.rewards.visual.times import MAX_TIMES, last_segments

# Some 180 texts of 256 KiB, each read by six rewards, take 4 seconds: 4 ms each, and 12 ms at most. A loop that is not
# linear takes minutes.
CPU_SECONDS = 25
TEXTS = Path(__file__).parents[1] / "cases" / "visual_hostile.jsonl"
PROGRAM = """
import json, sys
from rewardmesh.contract import (
    ActionReference, Box, BoxReference, CountReference, PointReference, Rollout, Score, Segment, SegmentReference
)
from rewardmesh.rewards.action.reward import ActionReward
from rewardmesh.rewards.counting import CountingReward
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.point.reward import PointReward
from rewardmesh.rewards.temporal import TemporalReward
judges = [
    (GroundingReward(), BoxReference([Box(0, 0, 1, 1)])),
    (GroundingReward(), BoxReference([Box(0, 0, 1, 1), Box(5, 5, 6, 6)])),
    (PointReward(), PointReference([Box(0, 0, 9, 9)])),
    (ActionReward(), ActionReference("click", Box(0, 0, 9, 9))),
    (CountingReward(), CountReference(3)),
    (TemporalReward(), SegmentReference([Segment(0, 1)])),
]
for line in open(sys.argv[1], encoding="utf-8"):
    case = json.loads(line)
    rest = 262144 - len(case["before"]) - len(case["after"])
    text = case["before"] + case["piece"] * (rest // len(case["piece"])) + case["after"]
    for reward, reference in judges:
        [outcome] = reward.score([Rollout("r", text, reference=reference)])
        assert isinstance(outcome, Score) or "declare" in str(outcome), (line, reward.name, outcome)
"""
_ALPHABET = "[](){}<>|=,.:;'\"\\ \n-+e0129xyboxpointclick_locref猫第秒\ud83d"


def test_reading_them_takes_linear_time() -> None:
    """In a process that the kernel ends when it uses far more CPU than it should: no clock decides."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(TEXTS)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("read", [boxes, points, actions])
@given(text=st.text(_ALPHABET, max_size=80))
def test_whatever_is_read_stands_in_the_text(read: Callable[[str, Tags], Sequence[Placed]], text: str) -> None:
    for one in read(text, TAGS):
        assert 0 <= one.start < one.end <= len(text)


@given(
    st.text('\\u0123456789abcdefDdn"', max_size=24),
    st.sampled_from(['{{"bbox_2d": [1, 2, 3, 4], "label": "{}"}}', '{{"action": "type", "text": "{}"}}']),
)
def test_escapes_never_make_text_that_cannot_be_sent(text: str, form: str) -> None:
    completion = form.format(text)
    for label in [one.label for one in boxes(completion, TAGS)] + [one.text or "" for one in actions(completion, TAGS)]:
        label.encode()


def test_one_more_than_the_most_is_read() -> None:
    many = MAX_CANDIDATES + 50
    assert len(boxes("[1, 2, 3, 4] " * many, TAGS)) == MAX_CANDIDATES + 1
    assert len(points("(1, 2) " * many, TAGS)) == MAX_CANDIDATES + 1
    assert len(points("<answer>" + "(1, 2) " * many + "</answer>" * 2, TAGS)) == MAX_CANDIDATES + 1
    assert len(actions("click(1, 2) " * many, TAGS)) == MAX_CANDIDATES + 1
    assert last_segments("[1, 2] " * MAX_TIMES) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x=1, y=2", True),
        ('{"x1": 1, "y1": 2, "x2": 3, "y2": 4}', True),
        ('<points x1="1" y1="2">', True),
        ("(1, 2)", False),
    ],
)
def test_numbers_with_names_are_in_the_order_of_their_names(text: str, named: bool) -> None:
    assert {one.named for one in points(text, TAGS)} == {named}


@pytest.mark.parametrize(
    ("text", "named"), [("click(x=1, y=2)", True), ("click(1, 2)", True), ("click(at=(1, 2))", False)]
)
def test_a_function_names_its_parameters(text: str, named: bool) -> None:
    assert [one.named for one in actions(text, TAGS)] == [named]


@given(text=st.text(_ALPHABET, max_size=60), piece=st.sampled_from(["[1, 2, 3, 4]", "(5, 6)", "<loc0001><loc0002>"]))
def test_without_labels_the_same_places_are_read(text: str, piece: str) -> None:
    for completion in (text, text + piece, piece + text, f'{{"label": "{piece}"}}{text}{piece}'):
        for read in (boxes, points):
            with_labels, without = read(completion, TAGS), read(completion, TAGS, labelled=False)
            assert [one._replace(label="") for one in with_labels] == [one._replace(label="") for one in without]


# To Unicode's rules "İ" and "ı" are other cases of "i", and float() reads neither.
@pytest.mark.parametrize("odd", ["İnf", "ınf", "İnfinity", "naN", "１２", "٣", "1e999", "-iNf"])
@pytest.mark.parametrize(
    "form", ["[{0}, 2, 3, 4]", "({0}, 2)", "x={0}, y=2", "click(x={0}, y=2)", "{0} to {0}s", "{0}"]
)
def test_what_only_looks_like_a_number_is_scored(odd: str, form: str) -> None:
    box = Box(0, 0, 9, 9)
    judges: list[tuple[Any, Reference]] = [
        (GroundingReward(), BoxReference([box])),
        (PointReward(), PointReference([box])),
        (ActionReward(), ActionReference("click", box)),
        (CountingReward(), CountReference(3)),
        (TemporalReward(), SegmentReference([Segment(0, 1)])),
    ]
    for reward, reference in judges:
        [outcome] = reward.score([Rollout("r", form.format(odd), reference=reference)])
        assert isinstance(outcome, Score), (reward.name, outcome)
