"""Schedules: what they say, and that the one that follows the rewards goes where it should."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.trainer_client.mixing.schedule import CalendarCurriculum, FixedMix
from rewardmesh.trainer_client.mixing.worst_task import WorstTask

TASKS = ("math", "counting", "temporal")


def test_a_calendar_goes_by_the_step() -> None:
    calendar = CalendarCurriculum([(0, {"counting": 1}), (10, {"counting": 1, "math": 3}), (20, {"math": 1})])
    found = [calendar.weights(step) for step in (0, 9, 10, 19, 20, 999)]
    assert found == [{"counting": 1}] * 2 + [{"counting": 1, "math": 3}] * 2 + [{"math": 1}] * 2


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: FixedMix({}), "at least one task"),
        (lambda: FixedMix({"math": 0.0}), "at least one task"),
        (lambda: FixedMix({"math": -1.0, "counting": 2.0}), "at least 0"),
        (lambda: FixedMix({"math": math.nan}), "finite"),
        (lambda: CalendarCurriculum([]), "begin at step 0"),
        (lambda: CalendarCurriculum([(1, {"math": 1})]), "begin at step 0"),
        (lambda: CalendarCurriculum([(0, {"math": 1}), (0, {"math": 2})]), "later than"),
        (lambda: CalendarCurriculum([(0, {"math": 1}), (5, {})]), "at least one task"),
        (lambda: WorstTask([]), "each once"),
        (lambda: WorstTask(["math", "math"]), "each once"),
        (lambda: WorstTask(TASKS, rate=0.0), "rate above 0"),
        (lambda: WorstTask(TASKS, robustness=-0.1), "robustness"),
        (lambda: WorstTask(TASKS, floor=0.4), "floor"),
        (lambda: WorstTask(TASKS, memory=1.0), "memory"),
        (lambda: WorstTask(TASKS, decay=1.0), "decay"),
    ],
)
def test_settings_out_of_range_are_refused(build: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build()


def weights_after(rewards: list[dict[str, float]], **settings: float) -> dict[str, float]:
    schedule = WorstTask(TASKS, **settings)
    for step, each in enumerate(rewards):
        schedule.observe(step, each)
    return dict(schedule.weights(len(rewards)))


def test_it_starts_with_equal_weights() -> None:
    assert WorstTask(TASKS).weights(0) == pytest.approx(dict.fromkeys(TASKS, 1 / 3))


def test_the_worst_task_gets_more_and_ends_where_the_formula_says() -> None:
    found = weights_after([{"math": 0.1, "counting": 0.6, "temporal": 0.6}] * 400, floor=0.0)
    assert found["math"] > found["counting"] == pytest.approx(found["temporal"])
    assert found["math"] / found["counting"] == pytest.approx(math.exp(1.0 * 0.2 * 0.5 / 0.05), rel=1e-3)


def test_two_steps_by_hand() -> None:
    """Running means of .5 and .55, and of .5 and .5; improvements of .05 and 0."""
    schedule = WorstTask(["a", "b"], robustness=0.2, rate=2.0, decay=0.1, memory=0.9, floor=0.1)
    schedule.observe(0, {"a": 0.5, "b": 0.5})
    assert schedule.weights(1) == pytest.approx({"a": 0.5, "b": 0.5})
    schedule.observe(1, {"a": 1.0, "b": 0.5})
    apart = 2.0 * (0.05 + 0.2 * 0.55 - 0.2 * 0.5)
    share = 1 / (1 + math.exp(apart))
    assert schedule.weights(2) == pytest.approx({"a": 0.1 + 0.8 * share, "b": 0.1 + 0.8 * (1 - share)})
    schedule.observe(2, {})
    apart = 0.9 * apart + 2.0 * 0.2 * 0.05
    share = 1 / (1 + math.exp(apart))
    assert schedule.weights(3) == pytest.approx({"a": 0.1 + 0.8 * share, "b": 0.1 + 0.8 * (1 - share)})


def test_of_two_tasks_as_bad_the_one_that_does_not_improve_gets_more() -> None:
    rewards = [{"math": 0.3, "counting": 0.1 + 0.02 * step, "temporal": 0.9} for step in range(20)]
    found = weights_after(rewards, robustness=0.0)
    assert found["math"] > found["counting"]
    assert found["math"] == pytest.approx(found["temporal"]), "without robustness only the change counts"


def test_robustness_looks_at_the_worst_task_alone() -> None:
    rewards = [{"math": 0.3, "counting": 0.6, "temporal": 0.9}] * 100
    shares = [weights_after(rewards, robustness=value)["math"] for value in (0.0, 0.2, 2.0)]
    assert shares[0] == pytest.approx(1 / 3)
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.9


rewards_of_steps = st.lists(st.dictionaries(st.sampled_from(TASKS), st.floats(0, 1)), max_size=30)


@settings(deadline=None, max_examples=50)
@given(rewards_of_steps, st.floats(0, 3), st.floats(0, 0.3))
def test_no_task_falls_below_the_floor(rewards: list[dict[str, float]], robustness: float, floor: float) -> None:
    found = weights_after(rewards, robustness=robustness, floor=floor)
    assert math.fsum(found.values()) == pytest.approx(1.0)
    assert min(found.values()) >= floor - 1e-12


@settings(deadline=None, max_examples=50)
@given(rewards_of_steps, st.integers(0, 30))
def test_a_resumed_schedule_goes_on_as_the_other_would_have(rewards: list[dict[str, float]], at: int) -> None:
    whole, resumed = WorstTask(TASKS), WorstTask(TASKS)
    for step, each in enumerate(rewards[:at]):
        whole.observe(step, each)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    for step, each in enumerate(rewards[at:], at):
        whole.observe(step, each)
        resumed.observe(step, each)
    assert resumed.weights(99) == whole.weights(99)


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(KeyError, match="none of math, counting, temporal"):
        WorstTask(TASKS).observe(0, {"grounding": 0.5})
    with pytest.raises(ValueError, match="of tasks"):
        WorstTask(TASKS).load_state_dict(WorstTask(["math"]).state_dict())
