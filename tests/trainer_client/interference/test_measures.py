"""What a run did to each task, in numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from rewardmesh.trainer_client.interference.history import History
from rewardmesh.trainer_client.interference.measures import (
    corrected_cosines,
    gap,
    mean_cosines,
    smooth,
    task_measures,
)
from tests.trainer_client.interference.runs import flat, history, ramp, rows


def gradients(between: float, halves: dict[str, float | None]) -> dict[str, Any]:
    tasks = list(halves)
    return {
        "groups": dict.fromkeys(tasks, 4),
        "norms": dict.fromkeys(tasks, 2.0),
        "halves": halves,
        "cosines": {a: {b: 1.0 if a == b else between for b in tasks} for a in tasks},
        "corrected": {},
    }


def test_a_run_by_hand() -> None:
    shapes = {"math": ramp(0.2, 0.6, 10, 10), "counting": flat(0.5)}
    lengths = {"math": lambda step: 30.0 + 2.0 * step, "counting": flat(10.0)}
    steps = rows(40, shapes, lengths, noise=0.0)
    for step, row in enumerate(steps):
        row["tasks"]["math"]["length"] = lengths["math"](step)
        row["tasks"]["counting"]["length"] = 10.0
        row["tasks"]["counting"]["failures"] = 1
    math, counting = task_measures(History(steps), window=10)
    assert (math.task, math.steps, math.failures, counting.failures) == ("math", 40, 0, 40)
    assert math.first is not None
    assert math.last is not None
    assert math.change is not None
    assert (math.first.value, math.last.value, math.change.value) == pytest.approx((0.2, 0.6, 0.4))
    assert math.length_slope is not None
    assert math.length_slope.value == pytest.approx(2.0)
    assert math.token_share is not None
    assert counting.token_share is not None
    assert math.token_share.value + counting.token_share.value == pytest.approx(1.0)
    assert math.token_share.value == pytest.approx(99 / 109, abs=2e-3)  # 99 tokens on average over the last ten
    assert math.gap is None
    assert math.gradient_norm is None


def test_a_short_run_is_not_its_own_end() -> None:
    """Two windows of 20 do not fit into 6 steps: halves do."""
    (math,) = task_measures(history(6, {"math": lambda step: step / 10}, noise=0.0))
    assert math.first is not None
    assert math.last is not None
    assert (math.first.value, math.last.value) == pytest.approx((0.1, 0.4))


def test_a_run_of_one_step_is_measured() -> None:
    (math,) = task_measures(history(1, {"math": flat(0.5)}, noise=0.0))
    assert math.change is not None
    assert math.change.value == 0.0
    assert math.length_slope is None


def test_the_gap_is_taken_at_as_many_rollouts_of_the_task() -> None:
    """Reward is a function of rollouts seen alone: nothing interferes, though alone it is twice as far at each step."""
    mixed = history(40, {"math": ramp(0.0, 0.4, 40)}, noise=0.0, rollouts=16)
    alone = history(40, {"math": ramp(0.0, 0.8, 40)}, noise=0.0, rollouts=32)
    found = gap(mixed, alone, "math", window=1)
    assert found is not None
    assert found.value == pytest.approx(0.0, abs=0.02)
    held_back = history(40, {"math": ramp(0.0, 0.2, 40)}, noise=0.0, rollouts=16)
    found = gap(held_back, alone, "math", window=1)
    assert found is not None
    assert found.value == pytest.approx(-0.2, abs=0.02)


def test_no_gap_where_a_task_was_never_judged() -> None:
    assert gap(history(4, {"math": flat(0.5)}), history(4, {"counting": flat(0.5)}), "math", 2) is None


def test_cosines_are_averaged_before_noise_is_taken_out() -> None:
    steps = rows(4, {"math": flat(0.5), "counting": flat(0.5)})
    steps[1]["gradients"] = gradients(0.2, {"math": 0.4, "counting": 0.3})
    steps[3]["gradients"] = gradients(0.3, {"math": 4 / 15, "counting": 11 / 30})
    run = History(steps)
    reports = list(run.gradients.values())
    between = mean_cosines(reports)["math"]["counting"]
    assert between is not None
    assert between.value == pytest.approx(0.25)
    assert between.samples == 2
    assert corrected_cosines(reports)["math"]["counting"] == pytest.approx(
        0.5
    )  # both halves' cosines are 1/3 on average
    assert corrected_cosines(reports)["math"]["math"] == pytest.approx(1.0)
    assert run.curve("math", "gradient_norm").values == [2.0, 2.0]
    (math, _) = task_measures(run)
    assert math.halves is not None
    assert math.halves.value == pytest.approx(1 / 3)


def test_halves_that_agree_by_chance_alone_correct_nothing() -> None:
    """0.9 and -0.5: 0.2 on average, with a standard error of 0.7."""
    found = [gradients(0.2, {"math": half, "counting": 0.3}) for half in (0.9, -0.5)]
    assert corrected_cosines(found)["math"]["counting"] is None
    assert corrected_cosines([found[0]])["math"]["counting"] is not None


def test_halves_that_were_never_there_leave_no_corrected_cosine() -> None:
    steps = rows(2, {"math": flat(0.5), "counting": flat(0.5)})
    steps[0]["gradients"] = gradients(0.2, {"math": None, "counting": 0.2})
    reports = list(History(steps).gradients.values())
    assert corrected_cosines(reports)["math"]["counting"] is None


def test_steps_of_two_runs_in_one_log_are_refused() -> None:
    steps = rows(3, {"math": flat(0.5)})
    with pytest.raises(ValueError, match="step 1 follows on step 2"):
        History([*steps, steps[1]])


def test_smoothing_by_hand() -> None:
    assert smooth([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]
    assert smooth([], 2) == []
