"""The loss: by hand, against the formula written out, and against itself in other pieces and orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rewardmesh.trainer_client.grpo.advantages import group_advantages
from rewardmesh.trainer_client.grpo.losses import (
    Counts,
    Norm,
    final_scale,
    group_shares,
    policy_loss,
    task_weights,
    token_weights,
)
from tests.trainer_client.grpo.batches import Batch, batches, log_probs_and_mask

NORMS: tuple[Norm, ...] = get_args(Norm)
TASKS = ["math", "counting", "math", "temporal"]
norms = st.sampled_from(NORMS)


def weights_of(batch: Batch, norm: Norm = "group_token") -> Tensor:
    rewards, scored, lengths = batch
    return token_weights(group_advantages(rewards, scored), lengths, scored, norm, TASKS[: len(rewards)])


def gradient(log_probs: Tensor, losses: Sequence[Tensor]) -> Tensor:
    log_probs.grad = None
    for loss in losses:
        loss.backward()
    return torch.zeros_like(log_probs) if log_probs.grad is None else log_probs.grad


def test_token_weights_by_hand() -> None:
    """Two groups count; the third has no spread. Tokens of the failed completion count nowhere."""
    rewards = torch.tensor([[1.0, 0.0, math.nan], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    batch = Batch(rewards, ~rewards.isnan(), torch.tensor([[4, 6, 100], [1, 2, 3], [5, 5, 5]]))
    root = math.sqrt(2)
    expected: dict[Norm, list[list[float]]] = {
        "group_token": [[1 / 20, -1 / 20, 0], [-root / 12, root / 24, root / 24]],
        "batch_token": [[1 / 16, -1 / 16, 0], [-root / 16, root / 32, root / 32]],
        "seq": [[1 / 20, -1 / 30, 0], [-root / 5, root / 20, root / 30]],
        "task_balanced": [[1 / 20, -1 / 20, 0], [-root / 12, root / 24, root / 24]],
    }
    for norm in NORMS:
        rows = [*expected[norm], [0, 0, 0]]
        assert weights_of(batch, norm).tolist() == [pytest.approx(row) for row in rows], norm


def test_task_balanced_is_the_mean_of_the_tasks_means() -> None:
    """Three groups of one task weigh together what the one group of the other does."""
    assert task_weights(["a", "b", "a", "a"]).tolist() == pytest.approx([1 / 6, 1 / 2, 1 / 6, 1 / 6])
    assert task_weights([]).tolist() == []


@settings(deadline=None, max_examples=50)
@given(batches())
def test_loss_is_the_formula_written_out(batch: Batch) -> None:
    rewards, scored, lengths = batch
    log_probs, token_mask = log_probs_and_mask(lengths)
    loss = policy_loss(log_probs, token_mask, weights_of(batch).flatten())

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


@settings(deadline=None, max_examples=50)
@given(batches(), norms, st.integers(1, 24))
def test_any_micro_batches_give_the_same_gradient(batch: Batch, norm: Norm, micro_batch: int) -> None:
    log_probs, token_mask = log_probs_and_mask(batch.lengths)
    weights = weights_of(batch, norm).flatten()
    whole = gradient(log_probs, [policy_loss(log_probs, token_mask, weights)])
    parts = torch.arange(len(weights)).split(micro_batch)
    split = gradient(log_probs, [policy_loss(log_probs[rows], token_mask[rows], weights[rows]) for rows in parts])
    assert torch.equal(whole, split)
    assert not whole.isnan().any()


def one_by_one(batch: Batch, norm: Norm, order: Sequence[int], log_probs: Tensor, token_mask: Tensor) -> Tensor:
    """The gradient of groups that come in this order, each trained on before the next is known."""
    counts, losses = Counts(), []
    size = batch.rewards.shape[1]
    spread = group_advantages(batch.rewards, batch.scored).spread
    factors = torch.zeros(len(spread), dtype=torch.float64)
    factors[spread] = task_weights([TASKS[g] for g in range(len(spread)) if spread[g]])
    for g in order:
        values, alone = group_advantages(batch.rewards[g : g + 1], batch.scored[g : g + 1])
        if not alone[0]:
            continue
        rows = slice(g * size, (g + 1) * size)
        shares = group_shares(norm, values[0], batch.lengths[g], batch.scored[g])
        shares = shares * factors[g] if norm == "task_balanced" else shares
        losses.append(policy_loss(log_probs[rows], token_mask[rows], shares))
        counts += Counts.of_group(batch.lengths[g], batch.scored[g])
    return gradient(log_probs, losses) * final_scale(norm, counts)


@settings(deadline=None, max_examples=50)
@given(batches(), norms)
def test_groups_may_come_in_any_order_and_the_scale_last(batch: Batch, norm: Norm) -> None:
    log_probs, token_mask = log_probs_and_mask(batch.lengths)
    whole = gradient(log_probs, [policy_loss(log_probs, token_mask, weights_of(batch, norm).flatten())])
    for order in permutations(range(len(batch.rewards))):
        found = one_by_one(batch, norm, order, log_probs, token_mask)
        torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-15)


def test_the_mean_of_micro_batches_means_is_another_gradient() -> None:
    """The usual mistake: each micro-batch divides by its own tokens, and their means are averaged."""
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    batch = Batch(rewards, torch.ones(2, 2, dtype=torch.bool), torch.tensor([[1, 2], [7, 6]]))
    log_probs, token_mask = log_probs_and_mask(batch.lengths)
    whole = gradient(log_probs, [policy_loss(log_probs, token_mask, weights_of(batch, "batch_token").flatten())])
    means = []
    for rows, g in ((slice(0, 2), 0), (slice(2, 4), 1)):
        alone = Batch(*(tensor[g : g + 1] for tensor in batch))
        weights = weights_of(alone, "batch_token").flatten()
        means.append(policy_loss(log_probs[rows], token_mask[rows], weights) / 2)
    wrong = gradient(log_probs, means)
    assert float((wrong - whole).norm() / whole.norm()) > 0.5


@settings(deadline=None, max_examples=50)
@given(batches(), norms)
def test_a_group_without_spread_is_as_if_it_had_not_been_drawn(batch: Batch, norm: Norm) -> None:
    rewards, scored, lengths = batch
    weights = weights_of(batch, norm)
    kept = group_advantages(rewards, scored).spread
    tasks = [task for task, keep in zip(TASKS, kept.tolist(), strict=False) if keep]
    advantages = group_advantages(rewards[kept], scored[kept])
    alone = token_weights(advantages, lengths[kept], scored[kept], norm, tasks)
    assert torch.equal(weights[kept], alone)
    assert not weights[~kept].any()


@settings(deadline=None, max_examples=50)
@given(batches(), norms)
def test_a_failed_rollout_is_as_if_it_had_not_been_drawn(batch: Batch, norm: Norm) -> None:
    rewards, scored, lengths = batch
    for g, counts in enumerate(scored):
        group = slice(g, g + 1)
        weights = weights_of(Batch(rewards[group], scored[group], lengths[group]), norm)
        fewer, everyone = rewards[group, counts], torch.ones(1, int(counts.sum()), dtype=torch.bool)
        if not fewer.numel():
            assert not weights.any()
            continue
        alone = weights_of(Batch(fewer, everyone, lengths[group, counts]), norm)
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


def test_tokens_of_one_completion_may_weigh_differently() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, -4.0]], requires_grad=True)
    weights = torch.tensor([[0.5, 3.0, math.nan]])
    policy_loss(log_probs, torch.tensor([[True, True, False]]), weights).backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [[-0.5, -3.0, 0.0]]


def test_unknown_norms_and_missing_tasks_are_refused() -> None:
    ones = torch.ones(1, 2)
    advantages = group_advantages(torch.tensor([[0.0, 1.0]]), ones.bool())
    with pytest.raises(ValueError, match="norm must be one of"):
        token_weights(advantages, ones.long(), ones.bool(), "token_mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs the task of each group"):
        token_weights(advantages, ones.long(), ones.bool(), "task_balanced")
