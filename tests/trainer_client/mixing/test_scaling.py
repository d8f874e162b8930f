"""Advantages times their task's factor."""

from __future__ import annotations

import pytest
import torch

from rewardmesh.trainer_client.mixing.scaling import scaled_advantages


def test_each_group_by_its_task() -> None:
    values = torch.tensor([[1.0, -1.0], [1.0, -1.0], [0.5, -0.5]])
    found = scaled_advantages(values, ["math", "counting", "temporal"], {"math": 2.0, "temporal": 0.0})
    assert found.tolist() == [[2, -2], [1, -1], [0, 0]]


@pytest.mark.parametrize(
    ("tasks", "factors", "complaint"),
    [
        (["math"], {}, "1 tasks of 2 groups"),
        (["a", "b"], {"a": -1.0}, "at least 0"),
        (["a", "b"], {"a": float("nan")}, "finite"),
    ],
)
def test_what_does_not_fit_is_refused(tasks: list[str], factors: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        scaled_advantages(torch.ones(2, 2), tasks, factors)
