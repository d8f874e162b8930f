"""GRPO's arithmetic: by hand, against the formula written out, and against itself in other micro-batches."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.trainer_client.grpo.advantages import group_advantages
from rewardmesh.trainer_client.grpo.losses import policy_loss, token_weights

CASES = [json.loads(line) for line in (Path(__file__).parents[2] / "cases/group_advantages.jsonl").open()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_advantages_by_hand(case: dict[str, Any]) -> None:
    rewards = torch.tensor([[math.nan if r is None else r for r in case["rewards"]]])
    values, spread = group_advantages(rewards, torch.tensor([case["mask"]], dtype=torch.bool))
    assert values[0].tolist() == pytest.approx(case["advantages"], abs=1e-7)
    assert spread.tolist() == [case["spread"]]


def test_token_weights_by_hand() -> None:
    """Two groups count; the third has no spread. Tokens of the failed completion count nowhere."""
    rewards = torch.tensor([[1.0, 0.0, math.nan], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    mask = ~rewards.isnan()
    lengths = torch.tensor([[4, 6, 100], [1, 2, 3], [5, 5, 5]])
    weights = token_weights(group_advantages(rewards, mask), lengths, mask)
    root = math.sqrt(2)
    expected = [[1 / 20, -1 / 20, 0], [-root / 12, root / 24, root / 24], [0, 0, 0]]
    assert weights.tolist() == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize(
    ("rewards", "mask", "complaint"),
    [
        (torch.ones(3), torch.ones(3, dtype=torch.bool), "groups, size"),
        (torch.ones(1, 3), torch.ones(1, 2, dtype=torch.bool), "groups, size"),
        (torch.tensor([[1.0, math.nan]]), torch.ones(1, 2, dtype=torch.bool), "not finite"),
        (torch.tensor([[1.0, math.inf]]), torch.ones(1, 2, dtype=torch.bool), "not finite"),
    ],
)
def test_what_is_no_batch_is_refused(rewards: torch.Tensor, mask: torch.Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        group_advantages(rewards, mask)


@st.composite
def batches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards, mask and lengths of up to 4 groups of up to 6 completions."""
    groups, size = draw(st.integers(1, 4)), draw(st.integers(1, 6))

    def table(cell: st.SearchStrategy[Any], dtype: torch.dtype) -> torch.Tensor:
        row = st.lists(cell, min_size=size, max_size=size)
        return torch.tensor(draw(st.lists(row, min_size=groups, max_size=groups)), dtype=dtype)

    rewards = table(st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1), torch.float64)
    return rewards, table(st.booleans(), torch.bool), table(st.integers(1, 7), torch.int64)


def log_probs_and_mask(lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(lengths.numel(), 7, generator=generator, dtype=torch.float64).requires_grad_()
    return log_probs, torch.arange(7) < lengths.flatten()[:, None]


@settings(deadline=None)
@given(batches())
def test_loss_is_the_formula_written_out(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    rewards, scored, lengths = batch
    log_probs, token_mask = log_probs_and_mask(lengths)
    weights = token_weights(group_advantages(rewards, scored), lengths, scored)
    loss = policy_loss(log_probs, token_mask, weights.flatten())

    terms: list[float] = []
    for g in range(len(rewards)):
        members = [i for i in range(rewards.shape[1]) if scored[g, i]]
        values = [float(rewards[g, i]) for i in members]
        if not values or max(values) - min(values) < 1e-4:
            continue
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
        tokens = sum(int(lengths[g, i]) for i in members)
        total = 0.0
        for i, value in zip(members, values, strict=True):
            row = g * rewards.shape[1] + i
            total += sum((value - mean) / deviation * log_probs[row, j].item() for j in range(int(lengths[g, i])))
        terms.append(total / tokens)
    expected = -math.fsum(terms) / len(terms) if terms else 0.0
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(batches(), st.integers(1, 24))
def test_any_micro_batches_give_the_same_gradient(
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor], micro_batch: int
) -> None:
    rewards, scored, lengths = batch
    log_probs, token_mask = log_probs_and_mask(lengths)
    weights = token_weights(group_advantages(rewards, scored), lengths, scored).flatten()
    policy_loss(log_probs, token_mask, weights).backward()
    whole, log_probs.grad = log_probs.grad, None
    for rows in torch.arange(len(weights)).split(micro_batch):
        policy_loss(log_probs[rows], token_mask[rows], weights[rows]).backward()
    assert whole is not None
    assert torch.equal(whole, log_probs.grad)
    assert not whole.isnan().any()


@settings(deadline=None)
@given(batches())
def test_a_group_without_spread_is_as_if_it_had_not_been_drawn(
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    rewards, scored, lengths = batch
    advantages = group_advantages(rewards, scored)
    weights = token_weights(advantages, lengths, scored)
    kept = advantages.spread
    alone = token_weights(group_advantages(rewards[kept], scored[kept]), lengths[kept], scored[kept])
    assert torch.equal(weights[kept], alone)
    assert not weights[~kept].any()


@settings(deadline=None)
@given(batches())
def test_a_failed_rollout_is_as_if_it_had_not_been_drawn(
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    rewards, scored, lengths = batch
    for g, counts in enumerate(scored):
        group = slice(g, g + 1)
        weights = token_weights(group_advantages(rewards[group], scored[group]), lengths[group], scored[group])
        fewer, everyone = rewards[group, counts], torch.ones(1, int(counts.sum()), dtype=torch.bool)
        if not fewer.numel():
            assert not weights.any()
            continue
        alone = token_weights(group_advantages(fewer, everyone), lengths[group, counts], everyone)
        torch.testing.assert_close(weights[0, counts], alone[0], rtol=1e-12, atol=0)
        assert not weights[0, ~counts].any()


def test_padding_may_hold_anything() -> None:
    """A banned token's log-probability is -inf, also where it only pads."""
    log_probs = torch.tensor([[-1.0, -math.inf]], requires_grad=True)
    loss = policy_loss(log_probs, torch.tensor([[True, False]]), torch.tensor([2.0]))
    loss.backward()
    assert loss.item() == 2.0
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [[-2.0, 0.0]]
