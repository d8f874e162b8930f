"""Tags of thinking beyond the built-in ones: every reward that looks for an answer takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rewardmesh.contract import Outcome, Rollout, Score
from rewardmesh.rewards.answer import TAGS, with_tags
from rewardmesh.rewards.base import Reward
from rewardmesh.rewards.construct import construct
from rewardmesh.rewards.registry import load

PLAN = (("<plan>", "</plan>"),)


def value(reward: Reward, rollout: Rollout) -> float:
    [outcome] = reward.score([rollout])  # pyright: ignore[reportGeneralTypeIssues] - none of these waits
    assert isinstance(outcome, Score), outcome
    return outcome.value


@pytest.mark.parametrize("name", ["math", "grounding", "point", "action", "counting", "temporal"])
def test_what_is_thought_between_them_is_no_answer(name: str) -> None:
    kind: Any = load(name)
    plain, planning = construct(kind, {}, {}, ()), construct(kind, {}, {}, PLAN)
    right = kind.example.completion
    # completion -> whether it is right, without and with the tags
    completions = {
        right: (True, True),
        f"<plan> {right}": (True, False),
        f"<plan> </plan> {right}": (True, True),
        f"<think> {right}": (False, False),
        f"<plan> {right} </plan>": (True, False),
    }
    for completion, expected in completions.items():
        rollout = replace(kind.example, completion=completion)
        assert (value(plain, rollout) > 0, value(planning, rollout) > 0) == expected, completion


class Taker:
    """Takes tags; keeps them."""

    name = "taker"
    version = "1"

    def __init__(self, thinking: object = None, other: object = None) -> None:
        self.thinking = thinking

    def score(self, rollouts: Sequence[Rollout]) -> list[Outcome]:
        return [Score(0.0) for _ in rollouts]


class Leaver(Taker):
    """Takes none."""

    name = "leaver"

    def __init__(self, **options: object) -> None:
        self.thinking = options.get("thinking")


def test_only_a_constructor_with_that_parameter_gets_them_and_its_own_options_win() -> None:
    assert construct(Taker, {}, {}, PLAN).thinking == PLAN  # pyright: ignore[reportAttributeAccessIssue]
    assert construct(Taker, {"thinking": 1}, {}, PLAN).thinking == 1  # pyright: ignore[reportAttributeAccessIssue]
    assert construct(Taker, {}, {}, ()).thinking is None  # pyright: ignore[reportAttributeAccessIssue]
    assert construct(Leaver, {"other": 1}, {}, PLAN).thinking is None  # pyright: ignore[reportAttributeAccessIssue]


def test_they_are_added_to_the_built_in_ones() -> None:
    assert with_tags([["<plan>", "</plan>"]]) == (*TAGS, *PLAN)
    assert with_tags([]) == TAGS


@pytest.mark.parametrize(
    "pair", ["<>", ["<a>"], ["<a>", "</a>", "x"], ["", "</a>"], ["<a>", " "], [1, 2], ["<a>", "a>"], ["###", "###"]]
)
def test_what_is_no_pair_of_tags_is_refused(pair: Any) -> None:
    with pytest.raises(ValueError, match=r"thinking must be pairs|closing tag"):
        with_tags([pair])
