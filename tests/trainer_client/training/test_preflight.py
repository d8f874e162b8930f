"""Training starts only when every reward pays for the truth. With real rewards."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rewardmesh.contract import (
    Box,
    BoxReference,
    CountReference,
    Failure,
    FreeReference,
    MathReference,
    PreferenceReference,
    Reference,
    Rollout,
    Score,
    Segment,
    SegmentReference,
    Size,
    Verdict,
)
from rewardmesh.rewards.registry import load
from rewardmesh.trainer_client.rollout import Prompt
from rewardmesh.trainer_client.training.preflight import PreflightError, preflight


class Counting:
    """The counting reward, in this process, for whatever it is sent."""

    def __init__(self) -> None:
        self.reward = load("counting")()

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        outcomes: Sequence[object] = self.reward.score(rollouts)  # pyright: ignore[reportAssignmentType] -- it is not async
        return [
            Verdict(r.id, o if isinstance(o, Score | Failure) else Failure.from_error(o))  # pyright: ignore[reportArgumentType] -- an exception
            for r, o in zip(rollouts, outcomes, strict=True)
        ]


class Flat:
    """Pays everything alike."""

    def __init__(self, value: float) -> None:
        self.value = value

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(r.id, Score(self.value, "flat")) for r in rollouts]


def prompt(id: str, reference: Reference | None) -> Prompt:
    return Prompt(id, "counting", "here", (), reference)


def test_good_references_pass() -> None:
    prompts = [prompt(f"p{n}", CountReference(n)) for n in range(40)]
    assert preflight(prompts, Counting()) == {"counting": 40}


def test_references_pass_whatever_space_the_model_writes_in() -> None:
    class Grounding(Counting):
        def __init__(self) -> None:
            self.reward = load("grounding")(answer_space={"kind": "relative_1000", "order": "yxyx"})  # pyright: ignore[reportCallIssue] -- its own constructor

    boxes = BoxReference([Box(100, 20, 300, 90)], image_size=Size(640, 480))
    assert preflight([Prompt("p", "grounding", "here", (), boxes)], Grounding()) == {"grounding": 1}


def test_a_reference_that_cannot_be_judged_is_named() -> None:
    prompts = [prompt("good", CountReference(3)), prompt("wrong-type", SegmentReference([Segment(1.0, 2.0)]))]
    with pytest.raises(PreflightError, match=r"1 of 2 .*:\nwrong-type/0 \(task 'counting'\): .*invalid_reference"):
        preflight(prompts, Counting())


def test_a_reference_that_is_not_paid_in_full_is_named() -> None:
    with pytest.raises(
        PreflightError, match=r"p/0 \(task 'counting'\): its own reference, '3', is paid 0\.99 \(flat\)"
    ):
        preflight([prompt("p", CountReference(3))], Flat(0.99))


def test_many_wrong_references_are_counted_and_a_few_are_shown() -> None:
    with pytest.raises(PreflightError) as caught:
        preflight([prompt(f"p{n}", CountReference(n)) for n in range(50)], Flat(0.0))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("50 of 50")
    assert lines[-1] == "and 45 more"
    assert len(lines) == 7


def test_a_preference_has_no_full_marks_but_must_be_judged() -> None:
    liked = [prompt("p", PreferenceReference(["a good answer"]))]
    assert preflight(liked, Flat(0.3)) == {"counting": 1}
    with pytest.raises(PreflightError, match="invalid_reference"):
        preflight(liked, Counting())


def test_a_reference_that_states_no_answer_must_be_judged_whatever_its_score() -> None:
    unstated = [prompt("p", FreeReference("theirs")), prompt("q", None), prompt("r", MathReference([]))]
    assert preflight(unstated, Flat(0.0)) == {"counting": 3}
    with pytest.raises(PreflightError, match=r"3 of 3 .*\np/0 .*invalid_reference.*\nq/0 .*invalid_reference.*\nr/0 "):
        preflight(unstated, Counting())
