"""Scores are finite numbers in [0, 1], or they are not made; failures have a kind, and every error has one."""

from __future__ import annotations

import dataclasses
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import Failure, RewardMeshError, Score, UnavailableError, Verdict, errors
from rewardmesh.contract.errors import FAILURE_KINDS, DeadlineError, InvalidScoreError

from .strategies import verdicts


@given(st.floats())
def test_a_score_lies_between_0_and_1_or_is_refused(value: float) -> None:
    if 0 <= value <= 1:
        assert Score(value).value == value
    else:
        with pytest.raises(InvalidScoreError):
            Score(value)


@pytest.mark.parametrize("value", [0, 1, True, Fraction(1, 2), Decimal("0.5")])
def test_numbers_of_other_kinds_become_floats(value: Any) -> None:
    score = Score(value)
    assert type(score.value) is float
    assert score.value == value


@pytest.mark.parametrize("value", [None, "0.5", b"1", [1], 10**400, 1j, math.nan, math.inf, -0.001, 1.0000001])
def test_what_is_no_score_is_refused(value: Any) -> None:
    with pytest.raises(InvalidScoreError):
        Score(value)


@pytest.mark.parametrize(
    "fields",
    [
        {"components": {"iou": math.nan}},
        {"components": {"iou": "high"}},
        {"components": {"iou": None}},
        {"components": {1: 0.5}},
        {"components": None},
        {"components": []},
        {"raw": math.inf},
        {"raw": "x"},
        {"reason": None},
        {"reason": "\ud800"},
        {"reason": "no_answer\n"},
        {"reason": "No answer was found."},
        {"reason": "é"},
        {"reason": "a" * 65},
        {"explanation": 3},
        {"parsed": 3},
        {"span": (2, 1)},
        {"span": (-1, 1)},
        {"span": (0, 2**32)},
        {"span": (0.0, 1.5)},
        {"span": (0, 1.0)},
        {"span": ("0", "1")},
        {"span": (1,)},
        {"span": (0, 1, 2)},
        {"span": 3},
        {"span": (None, None)},
    ],
)
def test_the_rest_of_a_score_is_checked_too(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidScoreError):
        Score(0.5, **fields)


def test_a_span_of_other_integers_becomes_one_of_ints() -> None:
    class Wide:
        """An integer of another library, as numpy's are."""

        def __index__(self) -> int:
            return 2

    score = Score(0.5, span=[1, Wide()])  # type: ignore[arg-type, list-item]
    assert score.span == (1, 2)
    assert type(score.span[1]) is int


@pytest.mark.parametrize("reason", ["", "num_eq", "top_5", "a" * 64])
def test_a_reason_is_a_code_or_empty(reason: str) -> None:
    assert Score(0.5, reason).reason == reason


@pytest.mark.parametrize("message", [None, 3, b"late", ["late"]])
def test_a_failures_message_is_a_text(message: Any) -> None:
    with pytest.raises(TypeError, match="must be a text"):
        Failure("crashed", message)


def test_components_are_copied_and_become_floats() -> None:
    given_components = {"iou": 1}
    score = Score(0.5, components=given_components)
    given_components["iou"] = 7
    assert score.components == {"iou": 1.0}
    assert type(score.components["iou"]) is float


def test_components_may_exceed_1() -> None:
    assert Score(0.5, components={"giou": -0.5, "length": 300}, raw=-12.0).raw == -12.0


def test_a_failure_has_a_known_kind() -> None:
    assert {Failure(kind, "").kind for kind in FAILURE_KINDS} == FAILURE_KINDS  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown failure kind 'boredom'; known: cancelled, crashed"):
        Failure("boredom", "")  # type: ignore[arg-type]


def test_a_failure_is_never_a_number() -> None:
    with pytest.raises(TypeError):
        float(Failure("timeout", ""))  # type: ignore[arg-type]
    assert Verdict("r", Failure("timeout", "")).score is None
    assert Verdict("r", Score(0.0)).failure is None


ERRORS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, RewardMeshError)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_pickles_and_becomes_a_failure(error: type[RewardMeshError]) -> None:
    copy = pickle.loads(pickle.dumps(error("what was wrong")))
    assert type(copy) is error
    assert Failure.from_error(copy) == Failure(error.kind, "what was wrong", error.retryable)


def test_other_errors_are_defects_of_the_reward() -> None:
    assert Failure.from_error(KeyError("x")) == Failure("reward_error", "KeyError: 'x'")


def test_only_what_may_pass_is_retryable() -> None:
    assert Failure.from_error(DeadlineError("late")).retryable
    assert not Failure.from_error(UnavailableError("no weights")).retryable


@given(verdicts)
def test_verdicts_pickle(verdict: Verdict) -> None:
    assert pickle.loads(pickle.dumps(verdict)) == verdict
    assert (verdict.score is None) != (verdict.failure is None)


def test_scores_share_no_components() -> None:
    given = {"iou": 0.5}
    score = Score(1.0, components=given)
    given["iou"] = 2.0
    assert score.components == {"iou": 0.5}
    assert Score(1.0).components is not Score(1.0).components
    assert dataclasses.replace(score, value=0.5) == Score(0.5, components={"iou": 0.5})
