"""Each warning is tripped by what it is for, and not by what merely looks like it."""

from __future__ import annotations

import pytest

from rewardmesh.trainer_client.interference.alarms import Alarm, Alarms, Thresholds
from rewardmesh.trainer_client.interference.history import History
from tests.trainer_client.interference.runs import flat, ramp, rows

RISING = ramp(0.2, 0.6, 40)


def alarms(steps: list[dict[str, object]], thresholds: Thresholds | None = None) -> list[Alarm]:
    found, history = Alarms(thresholds), History()
    told: list[Alarm] = []
    for row in steps:
        history.add(row)
        told += found.check(history)
    assert [(a.kind, a.task, a.step) for a in told] == [(a.kind, a.task, a.step) for a in found.raised]
    return found.raised


def kinds(found: list[Alarm]) -> list[tuple[str, str]]:
    return [(alarm.kind, alarm.task) for alarm in found]


def test_early_saturation_by_groups_that_are_alike() -> None:
    steps = rows(120, {"counting": RISING}, zero_spread={"counting": ramp(0.2, 0.8, 40)})
    (alarm,) = alarms(steps)
    assert (alarm.kind, alarm.task) == ("early saturation", "counting")
    assert 60 <= alarm.step <= 90
    assert alarm.until == 119
    assert "% of its groups have one reward" in alarm.message


def test_early_saturation_by_answers_that_are_fixed() -> None:
    (alarm,) = alarms(rows(120, {"counting": RISING}, entropy={"counting": ramp(0.6, 0.05, 40)}))
    assert alarm.kind == "early saturation"
    assert "its entropy fell from" in alarm.message


ALIKE = {"counting": ramp(0.2, 0.8, 40)}


@pytest.mark.parametrize(
    ("reward", "spread", "why"),
    [
        (RISING, None, "its groups still differ: only noise or a hard task"),
        (ramp(0.2, 0.8, 120), ALIKE, "it still rises"),
        (ramp(0.2, 0.97, 40), ALIKE, "there is nothing left to gain"),
        (flat(0.3), ALIKE, "it never rose: that is no saturation"),
    ],
)
def test_no_early_saturation(reward: object, spread: object, why: str) -> None:
    assert alarms(rows(120, {"counting": reward}, zero_spread=spread)) == [], why  # type: ignore[arg-type]


def test_perception_falls_while_reasoning_rises() -> None:
    shapes = {"math": ramp(0.2, 0.6, 60, 30), "grounding": ramp(0.6, 0.3, 60, 30), "counting": flat(0.5)}
    found = alarms(rows(120, shapes))
    assert set(kinds(found)) == {("perception falls", "grounding")}
    assert 32 <= found[0].step <= 60
    assert "that of math by +" in found[0].message


def test_a_slow_fall_is_seen_over_a_longer_time() -> None:
    shapes = {"math": ramp(0.2, 0.6, 200), "grounding": ramp(0.6, 0.4, 200)}
    found = alarms(rows(200, shapes, noise=0.05))
    assert set(kinds(found)) == {("perception falls", "grounding")}
    assert found[0].message.startswith("over 60 steps")


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ({"math": flat(0.4), "grounding": ramp(0.6, 0.3, 60)}, "reasoning does not rise"),
        ({"math": ramp(0.2, 0.6, 60), "grounding": flat(0.5)}, "perception does not fall"),
        ({"math": ramp(0.2, 0.6, 60), "preference": ramp(0.6, 0.3, 60)}, "preference is no perception"),
        ({"counting": ramp(0.2, 0.6, 60), "grounding": ramp(0.6, 0.3, 60)}, "counting is no reasoning"),
        ({"math": ramp(0.2, 0.6, 30), "grounding": ramp(0.6, 0.3, 30, 80)}, "not at the same time"),
        ({"math": ramp(0.60, 0.61, 120), "grounding": ramp(0.61, 0.60, 120)}, "too little to matter"),
    ],
)
def test_no_fall_of_perception(shapes: dict[str, object], why: str) -> None:
    assert alarms(rows(120, shapes)) == [], why  # type: ignore[arg-type]


def test_a_fall_that_is_certain_and_small_is_no_alarm() -> None:
    assert alarms(rows(80, {"math": ramp(0.2, 0.6, 60), "grounding": ramp(0.6, 0.58, 60)}, noise=0.001)) == []
    assert alarms(rows(80, {"math": ramp(0.2, 0.6, 60), "grounding": ramp(0.6, 0.56, 60)}, noise=0.001)) != []


def test_tasks_may_be_named_for_a_plugin() -> None:
    shapes = {"chess": ramp(0.2, 0.6, 60), "ocr": ramp(0.6, 0.3, 60)}
    named = Thresholds(perception=frozenset({"ocr"}), reasoning=frozenset({"chess"}))
    assert set(kinds(alarms(rows(80, shapes), named))) == {("perception falls", "ocr")}


def test_length_collapse() -> None:
    steps = rows(120, {"math": flat(0.5)}, lengths={"math": ramp(200.0, 40.0, 30, 40)})
    (alarm,) = alarms(steps)
    assert (alarm.kind, alarm.task) == ("length collapse", "math")
    assert 60 <= alarm.step <= 85
    assert "tokens long, after" in alarm.message
    assert "its reward moved by" in alarm.message


@pytest.mark.parametrize(
    ("length", "why"),
    [
        (ramp(200.0, 120.0, 30, 40), "it shrank by less than half"),
        (ramp(40.0, 200.0, 30, 40), "it grew"),
        (ramp(6.0, 2.0, 30, 40), "six tokens are nothing to collapse from"),
        (flat(200.0), "it did nothing"),
    ],
)
def test_no_length_collapse(length: object, why: str) -> None:
    assert alarms(rows(120, {"math": flat(0.5)}, lengths={"math": length})) == [], why  # type: ignore[dict-item]


def test_a_slow_collapse_is_seen_too() -> None:
    steps = rows(400, {"math": flat(0.5)}, lengths={"math": ramp(100.0, 20.0, 380)})
    assert kinds(alarms(steps)) == [("length collapse", "math")]


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_raises_nothing(seed: int) -> None:
    shapes = dict.fromkeys(("math", "grounding", "counting", "temporal"), flat(0.5))
    assert alarms(rows(150, shapes, noise=0.1, seed=seed)) == []


def test_a_warning_that_ends_and_comes_back_is_two() -> None:
    lengths = {"math": lambda step: 20.0 if 60 <= step < 90 or step >= 130 else 100.0}
    found = alarms(rows(180, {"math": flat(0.5)}, lengths=lengths))
    assert [a.kind for a in found] == ["length collapse", "length collapse"]
    assert found[0].until + 20 < found[1].step


def test_a_warning_that_flickers_is_one() -> None:
    lengths = {"math": lambda step: 100.0 if step < 60 else 20.0 if step % 30 < 26 else 160.0}
    (alarm,) = alarms(rows(180, {"math": flat(0.5)}, lengths=lengths))
    assert alarm.until > 170


def test_a_task_that_is_sampled_now_and_then_or_never_judged_is_no_error() -> None:
    steps = rows(60, {"math": flat(0.5), "counting": flat(0.5)})
    for row in steps[::2]:
        del row["tasks"]["counting"]
    for row in steps:
        row["tasks"]["math"]["reward"] = row["tasks"]["math"]["entropy"] = None
    assert alarms(steps) == []
