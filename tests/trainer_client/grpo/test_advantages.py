"""Advantages: by hand, and what must hold of any rewards."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean, pstdev, stdev
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.trainer_client.grpo.advantages import Std, group_advantages
from tests.trainer_client.grpo.batches import Batch, batches

CASES = [json.loads(line) for line in (Path(__file__).parents[2] / "cases/group_advantages.jsonl").open()]
FLAVOURS: list[Std] = ["population", "sample", "none"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_advantages_by_hand(case: dict[str, Any]) -> None:
    rewards = torch.tensor([[math.nan if r is None else r for r in case["rewards"]]])
    values, spread = group_advantages(rewards, torch.tensor([case["mask"]], dtype=torch.bool))
    assert values[0].tolist() == pytest.approx(case["advantages"], abs=1e-7)
    assert spread.tolist() == [case["spread"]]


@pytest.mark.parametrize(
    ("rewards", "mask", "settings", "complaint"),
    [
        (torch.ones(3), torch.ones(3, dtype=torch.bool), {}, "groups, size"),
        (torch.ones(1, 3), torch.ones(1, 2, dtype=torch.bool), {}, "groups, size"),
        (torch.tensor([[1.0, math.nan]]), torch.ones(1, 2, dtype=torch.bool), {}, "not finite"),
        (torch.tensor([[1.0, math.inf]]), torch.ones(1, 2, dtype=torch.bool), {}, "not finite"),
        (torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool), {"std": "unbiased"}, "std must be"),
        (torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool), {"epsilon": -1e-6}, "epsilon"),
        (torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool), {"min_spread": 0.0}, "min_spread"),
    ],
)
def test_what_is_no_batch_is_refused(
    rewards: torch.Tensor, mask: torch.Tensor, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        group_advantages(rewards, mask, **settings)


@settings(deadline=None, max_examples=50)
@given(batches(), st.sampled_from(FLAVOURS), st.sampled_from([0.0, 1e-8, 1e-4, 0.5]))
def test_advantages_are_the_formula_written_out(batch: Batch, std: Std, epsilon: float) -> None:
    values, spread = group_advantages(batch.rewards, batch.scored, std=std, epsilon=epsilon)
    assert values.isfinite().all()
    for g, counts in enumerate(batch.scored):
        members = batch.rewards[g, counts].tolist()
        assert not values[g, ~counts].any()
        if not members or max(members) - min(members) < 1e-4:
            assert not spread[g]
            assert not values[g].any()
            continue
        assert spread[g]
        over = 1.0 if std == "none" else {"population": pstdev, "sample": stdev}[std](members) + epsilon
        expected = [(r - fmean(members)) / over for r in members]
        assert values[g, counts].tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(batches(), st.sampled_from(FLAVOURS))
def test_what_a_failed_reward_says_does_not_matter(batch: Batch, std: Std) -> None:
    plain = group_advantages(batch.rewards, batch.scored, std=std)
    broken = group_advantages(batch.rewards.masked_fill(~batch.scored, math.nan), batch.scored, std=std)
    assert torch.equal(plain.values, broken.values)
    assert torch.equal(plain.spread, broken.spread)


@settings(deadline=None, max_examples=50)
@given(batches(), st.floats(-3, 3), st.floats(0.5, 4))
def test_moved_and_stretched_rewards_have_the_same_advantages(batch: Batch, by: float, times: float) -> None:
    plain = group_advantages(batch.rewards, batch.scored)
    moved = group_advantages(batch.rewards * times + by, batch.scored, min_spread=1e-4 * times * (1 - 1e-9))
    both = plain.spread & moved.spread  # at the very edge rounding decides
    torch.testing.assert_close(plain.values[both], moved.values[both], rtol=1e-6, atol=1e-6)


def test_a_reward_models_noise_is_no_advantage() -> None:
    rewards = torch.tensor([[0.7, 0.7 + 1e-6, 0.7 - 1e-6], [0.0, 0.0, 0.0]], dtype=torch.float64)
    values, spread = group_advantages(rewards, torch.ones(2, 3, dtype=torch.bool))
    assert not values.any()
    assert not spread.any()
