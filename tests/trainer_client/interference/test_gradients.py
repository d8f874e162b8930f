"""Cosines of known vectors, halves of signal and of noise, and the noise taken out again."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rewardmesh.trainer_client.interference.cosine import corrected, cosine, reliability
from rewardmesh.trainer_client.interference.gradients import GradientMeasure, GradientReport

SIZE = 20_000
HALVES: tuple[Literal[0, 1], Literal[0, 1]] = (0, 1)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, 0.0], [3.0, 0.0], 1.0),
        ([1.0, 0.0], [0.0, 5.0], 0.0),
        ([1.0, 1.0], [-2.0, -2.0], -1.0),
        ([1.0, 0.0], [1.0, 1.0], math.sqrt(0.5)),
        ([1e-20, 0.0], [1e-20, 0.0], 1.0),  # squares that float32 cannot hold
        ([0.0, 0.0], [1.0, 0.0], None),
    ],
)
def test_cosine_by_hand(one: list[float], other: list[float], expected: float | None) -> None:
    found = cosine(torch.tensor(one), torch.tensor(other))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_a_cosine_never_leaves_its_range_and_knows_no_scale(values: list[float], scale: float) -> None:
    vector = torch.tensor(values, dtype=torch.float64)
    found = cosine(vector, vector * scale)
    assert found is None or found == pytest.approx(1.0)
    assert found is None or -1.0 <= found <= 1.0


@pytest.mark.parametrize(
    ("between", "one", "other", "expected"),
    [
        (0.5, 1.0, 1.0, 0.5),  # nothing to take out
        (0.25, 1 / 3, 1 / 3, 0.5),  # both are half signal
        (-0.25, 1 / 3, 1 / 3, -0.5),
        (0.9, 1 / 3, 1 / 3, 1.0),  # more than noise explains
        (0.1, 0.05, 0.9, None),  # noise: nothing can be said
        (0.1, -0.5, 0.9, None),
        (None, 0.9, 0.9, None),
        (0.1, None, 0.9, None),
    ],
)
def test_correction_by_hand(
    between: float | None, one: float | None, other: float | None, expected: float | None
) -> None:
    found = corrected(between, one, other)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("halves", "expected"), [(0.0, 0.0), (1.0, 1.0), (1 / 3, 0.5), (-1.0, -1.0)])
def test_reliability_by_hand(halves: float, expected: float) -> None:
    assert reliability(halves) == pytest.approx(expected)


def noisy(signals: dict[str, Tensor], noise: float, groups: int = 4, limit: int | None = None) -> GradientReport:
    """Groups in turn to both halves, each the task's signal (entries of variance 1) and noise of its own."""
    generator = torch.Generator().manual_seed(3)
    measure = GradientMeasure([torch.zeros(SIZE)], limit)
    for number in range(groups):
        for task, signal in signals.items():
            measure.add(task, HALVES[number % 2], [signal + noise * torch.randn(SIZE, generator=generator)])
    return measure.report()


def unit(seed: int) -> Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(seed))


def test_halves_of_noise_are_orthogonal_and_halves_of_signal_are_not() -> None:
    report = noisy({"noise": torch.zeros(SIZE), "signal": unit(0)}, noise=0.1)
    assert report.halves["noise"] == pytest.approx(0.0, abs=0.05)
    assert report.halves["signal"] == pytest.approx(1.0, abs=0.01)
    assert report.corrected["noise"]["signal"] is None
    assert report.groups == {"noise": 4, "signal": 4}


@pytest.mark.parametrize("truth", [1.0, 0.5, -0.5])
def test_noise_hides_a_cosine_and_the_correction_finds_it_again(truth: float) -> None:
    """Groups with four times as much noise as signal (variances); two per half: the halves' cosine is 1/3."""
    mine = unit(0)
    theirs = truth * mine + math.sqrt(1.0 - truth**2) * unit(1)
    report = noisy({"a": mine, "b": theirs}, noise=2.0)
    assert report.halves["a"] == pytest.approx(1 / 3, abs=0.05)
    assert report.cosines["a"]["b"] == pytest.approx(truth / 2, abs=0.05)
    assert report.corrected["a"]["b"] == pytest.approx(truth, abs=0.1)
    assert report.corrected["a"]["b"] == report.corrected["b"]["a"]
    assert report.cosines["a"]["a"] == pytest.approx(1.0)


def test_sums_by_hand_over_several_parameters() -> None:
    measure = GradientMeasure([torch.zeros(2), torch.zeros(1, 2)])
    measure.add("a", 0, [torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 0.0]])])
    measure.add("a", 0, [torch.tensor([1.0, 0.0]), None])
    measure.add("a", 1, [torch.tensor([0.0, 0.0]), torch.tensor([[0.0, 2.0]])])
    measure.add("b", 1, [torch.tensor([0.0, 3.0]), torch.tensor([[4.0, 0.0]])])
    report = measure.report()
    assert report.norms == {"a": pytest.approx(math.sqrt(8)), "b": pytest.approx(5.0)}
    assert report.halves == {"a": pytest.approx(0.0), "b": None}
    assert report.cosines["a"]["b"] == pytest.approx(0.0)
    assert report.groups == {"a": 3, "b": 1}


def test_what_is_added_is_copied() -> None:
    """The trainer clears its gradients in place."""
    measure = GradientMeasure([torch.zeros(3)])
    gradient = torch.ones(3)
    measure.add("a", 0, [gradient])
    gradient.zero_()
    measure.add("a", 0, [torch.ones(3)])
    assert measure.report().norms["a"] == pytest.approx(math.sqrt(12))


def test_half_precision_is_summed_in_float32() -> None:
    measure = GradientMeasure([torch.zeros(1, dtype=torch.bfloat16)])
    for _ in range(1000):
        measure.add("a", 0, [torch.ones(1, dtype=torch.bfloat16)])
    assert measure.report().norms["a"] == 1000.0  # bfloat16 stops at 256


def test_a_tenth_of_the_coordinates_tells_nearly_the_same() -> None:
    signals = {"a": unit(0), "b": 0.5 * unit(0) + unit(1)}
    whole, part = noisy(signals, 0.5), noisy(signals, 0.5, limit=SIZE // 10)
    assert part.norms["a"] == pytest.approx(whole.norms["a"], rel=0.1)
    assert part.cosines["a"]["b"] == pytest.approx(whole.cosines["a"]["b"], abs=0.1)
    assert part.norms != whole.norms


def test_a_task_without_gradient_has_no_cosine_and_the_report_is_json() -> None:
    measure = GradientMeasure([torch.zeros(2)])
    measure.add("a", 0, [torch.zeros(2)])
    measure.add("b", 0, [torch.ones(2)])
    report = measure.report()
    assert report.norms["a"] == 0.0
    assert report.cosines["a"] == {"a": None, "b": None}
    assert json.loads(json.dumps(dataclasses.asdict(report), allow_nan=False))["cosines"]["b"]["a"] is None


@pytest.mark.parametrize("gradients", [[torch.ones(2)], [torch.ones(2), torch.ones(2)], [torch.ones(2)] * 3])
def test_gradients_of_another_model_are_refused(gradients: list[Tensor]) -> None:
    measure = GradientMeasure([torch.zeros(2), torch.zeros(3)])
    with pytest.raises(ValueError, match=r"shape|argument"):
        measure.add("a", 0, gradients)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        GradientMeasure([torch.zeros(2)], limit=0)
