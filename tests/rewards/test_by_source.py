"""Rewards with other options for some sources: each rollout is scored as its own instance alone would score it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import Failure, Outcome, Rollout, Score, UnavailableError
from rewardmesh.rewards.base import Reward
from rewardmesh.rewards.by_source import BySource
from rewardmesh.rewards.construct import construct
from rewardmesh.services.judge import judge, judge_blocking


class Grader:
    """Gives its mark, or does what the completion says."""

    name = "grader"
    version = "1"

    def __init__(self, mark: float = 0.0, note: object = "") -> None:
        if not 0 <= mark <= 1:
            raise ValueError(f"mark must be 0 to 1, not {mark}")
        self.mark = mark
        self.batches: list[list[str]] = []

    def score(self, rollouts: Sequence[Rollout]) -> list[Outcome]:
        self.batches.append([r.id for r in rollouts])
        for rollout in rollouts:
            obey(rollout.completion)
        marks: list[Outcome] = [Score(self.mark, reason="graded") for _ in rollouts]
        return marks[: -1 if rollouts[0].completion == "lose one" else None]


class PatientGrader(Grader):
    """Takes its time, and knows how many of its kind are at it."""

    under_way = 0
    most = 0

    async def score(self, rollouts: Sequence[Rollout]) -> list[Outcome]:  # pyright: ignore[reportIncompatibleMethodOverride]
        cls = type(self)
        cls.under_way += 1
        cls.most = max(cls.most, cls.under_way)
        try:
            await asyncio.sleep(10 if rollouts[0].completion == "sleep" else 0.001)
            return super().score(rollouts)
        finally:
            cls.under_way -= 1


GRADERS = [Grader, PatientGrader]
MARKS = {"half": 0.5, "full": 1.0, "same": 0.5}


def obey(word: str) -> None:
    if word == "raise":
        raise KeyError("told to raise")
    if word == "quit":
        sys.exit("told to quit")
    if word == "give up":
        raise UnavailableError("told to give up")


def made(kind: type[Grader], sources: Mapping[str, Mapping[str, Any]] | None = None, **options: Any) -> Reward:
    return construct(kind, options, {s: {"mark": m} for s, m in MARKS.items()} if sources is None else sources, ())


def rollouts(*sources: str) -> list[Rollout]:
    return [Rollout(id=str(i), completion="", source=source) for i, source in enumerate(sources)]


async def outcomes(reward: Reward, batch: Sequence[Rollout], kind: type[Grader]) -> list[Outcome]:
    """As the place where such a reward runs would get them."""
    return await judge(reward, batch) if kind is PatientGrader else judge_blocking(reward, batch)


def told_apart(judged: Sequence[Outcome]) -> list[float | str]:
    return [o.value if isinstance(o, Score) else o.kind for o in judged]


@pytest.mark.parametrize("sources", [{}, {"a": {}}, {"a": {"mark": 0.25}, "b": {}}])
def test_without_other_options_it_is_the_reward_itself(sources: dict[str, dict[str, Any]]) -> None:
    assert type(made(Grader, sources, mark=0.25)) is Grader


def test_equal_options_share_an_instance() -> None:
    reward = made(Grader)
    assert isinstance(reward, BySource)
    assert (reward.name, reward.version) == ("grader", "1")
    assert len(reward._instances) == 3, "one for all others, one for half and same, one for full"
    told = made(Grader, {"a": {"note": 1}, "b": {"note": True}, "c": {"note": {"x": [1]}}, "d": {"note": {"x": [1]}}})
    assert isinstance(told, BySource)
    assert len(told._instances) == 4, "1 is not true, but two equal mappings are equal"


@pytest.mark.parametrize("kind", GRADERS)
@given(st.lists(st.sampled_from(["", "unknown", *MARKS]), min_size=1, max_size=30))
async def test_every_rollout_is_scored_by_the_instance_for_its_source(kind: type[Grader], sources: list[str]) -> None:
    judged = await outcomes(made(kind), rollouts(*sources), kind)
    assert told_apart(judged) == [MARKS.get(source, 0.0) for source in sources]


def test_an_instance_gets_its_part_of_a_batch_at_once() -> None:
    reward = made(Grader)
    assert isinstance(reward, BySource)
    judge_blocking(reward, rollouts("half", "", "same", "full", "half"))
    batches = {instance.mark: instance.batches for instance in reward._instances if isinstance(instance, Grader)}
    assert batches == {0.0: [["1"]], 0.5: [["0", "2", "4"]], 1.0: [["3"]]}


@pytest.mark.parametrize("kind", GRADERS)
@pytest.mark.parametrize(("word", "failure"), [("raise", "reward_error"), ("quit", "reward_error")])
async def test_an_error_costs_only_the_guilty_rollout(kind: type[Grader], word: str, failure: str) -> None:
    batch = [*rollouts("half", "", "full"), Rollout(id="guilty", completion=word, source="half")]
    assert told_apart(await outcomes(made(kind), batch, kind)) == [0.5, 0.0, 1.0, failure]


@pytest.mark.parametrize("kind", GRADERS)
async def test_what_says_it_all_is_said_of_all(kind: type[Grader]) -> None:
    batch = [*rollouts("half", ""), Rollout(id="last", completion="give up", source="full")]
    assert told_apart(await outcomes(made(kind), batch, kind)) == ["unavailable"] * 3


@pytest.mark.parametrize("kind", GRADERS)
async def test_a_wrong_number_of_outcomes_is_told_as_ever(kind: type[Grader]) -> None:
    batch = [*rollouts("half", ""), Rollout(id="lost", completion="lose one", source="full")]
    *others, lost = await outcomes(made(kind), batch, kind)
    assert told_apart(others) == [0.5, 0.0]
    assert isinstance(lost, Failure)
    assert "0 outcomes for 1 rollouts" in lost.message


async def test_instances_that_wait_wait_together() -> None:
    PatientGrader.most = 0
    await judge(made(PatientGrader), rollouts("", "half", "full"))
    assert PatientGrader.most == 3


async def test_a_deadline_leaves_no_part_under_way() -> None:
    batch = [Rollout(id="slow", completion="sleep", source="half"), *rollouts("", "full")]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await judge(made(PatientGrader), batch)
    assert PatientGrader.under_way == 0


@pytest.mark.parametrize(
    ("own", "complaint"),
    [({"mark": 2}, "ValueError: mark must be 0 to 1, not 2"), ({"marks": 1}, "unexpected keyword argument 'marks'")],
)
def test_a_bad_option_names_its_source(own: dict[str, Any], complaint: str) -> None:
    [(option, value)] = own.items()
    with pytest.raises(UnavailableError, match=complaint) as caught:
        made(Grader, {"good": {"mark": 1}, "bad": own})
    assert f"source 'bad' ({option}: {value})" in str(caught.value)


def test_a_bad_option_for_all_is_the_constructors_own_error() -> None:
    with pytest.raises(ValueError, match="not 3"):
        made(Grader, {"a": {"mark": 1}}, mark=3)
