"""Several rewards on one completion: GDPO, against the formula and against what it is meant to mend."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.trainer_client.grpo.advantages import group_advantages
from rewardmesh.trainer_client.grpo.gdpo import gdpo_advantages
from tests.trainer_client.grpo.batches import Batch, batches


def all_scored(rewards: torch.Tensor) -> torch.Tensor:
    return torch.ones(rewards.shape[:2], dtype=torch.bool)


def test_sums_that_plain_normalisation_makes_alike_stay_apart() -> None:
    rewards = torch.tensor([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]])
    plain = group_advantages(rewards.sum(2), all_scored(rewards)).values
    assert torch.equal(plain[0], plain[1])
    values, spread = gdpo_advantages(rewards, all_scored(rewards), [1, 1])
    assert spread.tolist() == [True, True]
    assert values[1].tolist() == pytest.approx([2 * v for v in values[0].tolist()])
    assert float(values.square().mean()) == pytest.approx(1.0)


@settings(deadline=None, max_examples=50)
@given(batches())
def test_one_reward_is_grpo_but_for_the_batchs_scale(batch: Batch) -> None:
    plain = group_advantages(batch.rewards, batch.scored)
    found = gdpo_advantages(batch.rewards[..., None], batch.scored, [1.0], whiten=False)
    assert torch.equal(found.values, plain.values)
    assert torch.equal(found.spread, plain.spread)
    whitened = gdpo_advantages(batch.rewards[..., None], batch.scored, [1.0]).values
    torch.testing.assert_close(whitened, plain.values, rtol=1e-5, atol=1e-8)  # each group's deviation is 1 already


@settings(deadline=None, max_examples=50)
@given(batches(), st.floats(-2, 2), st.floats(-2, 2), st.integers(0, 2**16))
def test_it_is_the_formula_written_out(batch: Batch, first: float, second: float, seed: int) -> None:
    other = torch.rand(batch.rewards.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rewards = torch.stack([batch.rewards, other], 2).masked_fill(~batch.scored[..., None], math.nan)
    values, spread = gdpo_advantages(rewards, batch.scored, [first, second], whiten=False)
    expected = first * group_advantages(batch.rewards, batch.scored).values
    expected = expected + second * group_advantages(other, batch.scored).values
    torch.testing.assert_close(values[spread], expected[spread])
    assert not values[~spread].any()
    whitened, _ = gdpo_advantages(rewards, batch.scored, [first, second])
    assert whitened.isfinite().all()
    if spread.any():
        counted = batch.scored & spread[:, None]
        assert float(whitened[counted].square().mean()) == pytest.approx(1.0)
        assert float(whitened[counted].mean()) == pytest.approx(0.0, abs=1e-9)


def test_rewards_that_cancel_teach_nothing() -> None:
    rewards = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    values, spread = gdpo_advantages(rewards, all_scored(rewards), [1, 1])
    assert not spread.any()
    assert not values.any()


def test_a_reward_that_all_agree_on_adds_nothing() -> None:
    rewards = torch.tensor([[[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]]])
    values, _ = gdpo_advantages(rewards, all_scored(rewards), [1, 5], whiten=False)
    assert torch.equal(values, group_advantages(rewards[..., 0], all_scored(rewards)).values)


@pytest.mark.parametrize(
    ("shape", "weights", "complaint"),
    [
        ((2, 3), [1.0], "groups, size, rewards"),
        ((2, 3, 2), [1.0], "weight for each"),
        ((1, 1, 1), [math.nan], "finite"),
    ],
)
def test_what_is_no_batch_is_refused(shape: tuple[int, ...], weights: list[float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        gdpo_advantages(torch.ones(shape), torch.ones(shape[:2], dtype=torch.bool), weights)
