"""What is called a difference: by hand, and as often as it claims."""

from __future__ import annotations

import random

import pytest

from rewardmesh.trainer_client.experiments.compare import Interval, compare
from rewardmesh.trainer_client.experiments.reading import against, limits, since_start


def test_a_difference_by_hand() -> None:
    """Seeds differ by .2 and .4 on both prompts: mean .3, variance .02 between seeds, t of 1 degree of freedom."""
    ours = [{"math": [0.5, 0.7]}, {"math": [0.7, 0.9]}]
    theirs = [{"math": [0.3, 0.5]}, {"math": [0.3, 0.5]}]
    found = compare(ours, theirs)["math"]
    assert found.value == pytest.approx(0.3)
    assert found.high - found.value == pytest.approx(12.706 * (0.02 / 2) ** 0.5, abs=1e-6)
    assert found.low == pytest.approx(0.3 - (found.high - 0.3))
    assert found.told == 0


def test_seeds_that_agree_on_many_prompts_tell_a_difference() -> None:
    ours = [{"math": [0.9] * 50, "counting": [0.2] * 50}, {"math": [0.9] * 50, "counting": [0.2] * 50}]
    theirs = [{"math": [0.5] * 50, "counting": [0.6] * 50}, {"math": [0.5] * 50, "counting": [0.6] * 50}]
    found = compare(ours, theirs)
    assert [found[task].told for task in ("math", "counting")] == [1, -1]


def test_prompts_that_disagree_hide_a_difference_that_seeds_agree_on() -> None:
    """Four prompts of which one gained much: another four might tell another story."""
    ours = [{"math": [1.0, 0.0, 0.0, 0.0]}] * 2
    theirs = [{"math": [0.0, 0.0, 0.0, 0.0]}] * 2
    assert compare(ours, theirs)["math"].told == 0


def test_tasks_are_compared_where_both_have_them() -> None:
    assert list(compare([{"a": [0.0], "b": [0.0]}] * 2, [{"b": [0.0]}] * 2)) == ["b"]


@pytest.mark.parametrize("seeds", [(1, 1), (2, 3)])
def test_too_few_seeds_are_refused(seeds: tuple[int, int]) -> None:
    ours, theirs = ([{"math": [0.0]}] * count for count in seeds)
    with pytest.raises(ValueError, match="at least 2 seeds"):
        compare(ours, theirs)


@pytest.mark.parametrize(("truth", "least", "most"), [(0.0, 0.0, 0.07), (0.5, 0.9, 1.0)])
def test_noise_is_called_a_difference_at_most_as_often_as_it_says(truth: float, least: float, most: float) -> None:
    """Two seeds, five tasks: training moves a task's reward by .05 of noise, a prompt's by .3."""
    rng = random.Random(0)

    def rewards(shift: float) -> list[dict[str, list[float]]]:
        seeds: list[dict[str, list[float]]] = []
        for _ in range(2):
            luck = {task: rng.gauss(shift, 0.05) for task in "abcde"}
            seeds.append({task: [luck[task] + rng.gauss(0.5, 0.3) for _ in range(40)] for task in "abcde"})
        return seeds

    told = [interval.told for _ in range(100) for interval in compare(rewards(truth), rewards(0.0)).values()]
    assert least <= sum(each == 1 for each in told) / len(told) <= most
    assert sum(each == -1 for each in told) / len(told) <= 0.07


UP, DOWN, SAME = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.05, -0.1, 0.2)


def test_the_reading_says_what_the_intervals_say() -> None:
    lines = against("the mixture", "training alone", {"math": UP, "counting": DOWN, "point": SAME, "temporal": SAME})
    assert lines == [
        "The mixture earned more than training alone on math (+0.200 [+0.100, +0.300]).",
        "The mixture earned less than training alone on counting (-0.200 [-0.300, -0.100]).",
        "No difference beyond noise between the mixture and training alone on point (+0.050 [-0.100, +0.200]) and "
        "temporal (+0.050 [-0.100, +0.200]).",
    ]


def test_the_reading_of_a_change_since_the_start() -> None:
    assert since_start("the mixture", {"a": UP, "b": DOWN, "c": SAME, "d": SAME, "e": SAME}) == [
        "The mixture raised a (+0.200 [+0.100, +0.300]) above the start.",
        "The mixture lowered b (-0.200 [-0.300, -0.100]) below the start.",
        "The mixture did not move c, d and e beyond noise.",
    ]
    assert since_start("the mixture", {"a": UP}) == ["The mixture raised a (+0.200 [+0.100, +0.300]) above the start."]


def test_the_limits_are_said() -> None:
    assert "2 seeds" in limits(2, 40, 96)
    assert "Of 40 intervals, about 2 would miss" in limits(2, 40, 96)
