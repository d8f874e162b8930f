"""Our gradients and TRL's, on the same fixed completions of the same tiny text model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rewardmesh.trainer_client.grpo.advantages import Advantages, group_advantages
from rewardmesh.trainer_client.grpo.losses import Counts, Norm, final_scale, group_shares, policy_loss, token_weights
from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig, vanilla_loss
from tests.trainer_client.grpo.trl_oracle import (
    LossType,
    completions,
    difference,
    gradient,
    log_probs,
    tiny_model,
    trl_gradient,
)

LENGTHS = torch.tensor([[2, 9, 4, 5], [1, 3, 2, 1], [12, 10, 11, 7]])
REWARDS = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.2, 0.9, 0.4, 0.1], [0.0, 0.0, 0.0, 1.0]])
SCORED = torch.ones(3, 4, dtype=torch.bool)
BATCH = completions(LENGTHS, seed=1)
CLOSE = 1e-6


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def advantages() -> Advantages:
    """With TRL's standard deviation."""
    return group_advantages(REWARDS, SCORED, std="sample", epsilon=1e-4)


def ours(norm: Norm, rewards: Tensor = REWARDS) -> list[Tensor]:
    model = tiny_model(0)
    found = group_advantages(rewards, SCORED, std="sample", epsilon=1e-4)
    weights = token_weights(found, LENGTHS, SCORED, norm, ["a", "b", "b"])
    return gradient(model, policy_loss(log_probs(model, BATCH), BATCH.mask, weights.flatten()))


def theirs(loss_type: LossType) -> list[Tensor]:
    return trl_gradient(tiny_model(0), BATCH, advantages().values.flatten(), loss_type)


def test_advantages_are_trls() -> None:
    expected = (REWARDS - REWARDS.mean(1, keepdim=True)) / (REWARDS.std(1, keepdim=True) + 1e-4)
    torch.testing.assert_close(advantages().values.float(), expected)


@pytest.mark.parametrize(("norm", "loss_type"), [("batch_token", "dapo"), ("batch_token", "bnpo"), ("seq", "grpo")])
def test_gradients_are_trls(norm: Norm, loss_type: LossType) -> None:
    expected = theirs(loss_type)
    assert max(float(g.abs().max()) for g in expected) > 0.1, "so small a gradient would be equal to anything"
    assert difference(ours(norm), expected) <= CLOSE


@pytest.mark.parametrize("norm", ["group_token", "task_balanced"])
def test_where_the_denominators_differ_the_gradients_do(norm: Norm) -> None:
    for loss_type in ("dapo", "grpo"):
        assert difference(ours(norm), theirs(loss_type)) > 1e-2


def test_one_group_has_no_other_denominator() -> None:
    """With one group "token mean" means the same to all."""
    model, one = tiny_model(0), completions(LENGTHS[:1], seed=1)
    found = group_advantages(REWARDS[:1], SCORED[:1], std="sample", epsilon=1e-4)
    weights = token_weights(found, LENGTHS[:1], SCORED[:1], "group_token").flatten()
    mine = gradient(model, policy_loss(log_probs(model, one), one.mask, weights))
    assert difference(mine, trl_gradient(model, one, found.values.flatten(), "dapo")) <= CLOSE


@pytest.mark.parametrize(("norm", "loss_type"), [("batch_token", "dapo"), ("seq", "grpo")])
@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("clip", [(0.2, 0.2), (0.1, 0.28)])
def test_vanilla_is_trls(norm: Norm, loss_type: LossType, beta: float, clip: tuple[float, float]) -> None:
    """The policy has moved since it sampled, so that some tokens are clipped on either side, and from the reference."""
    model = tiny_model(0)
    with torch.no_grad():
        now = log_probs(model, BATCH)
        generator = torch.Generator().manual_seed(3)
        old = now + 0.3 * torch.randn(now.shape, generator=generator)
        reference = now + 0.5 * torch.randn(now.shape, generator=generator)
    values = advantages().values.flatten()
    expected = trl_gradient(
        model, BATCH, values, loss_type, old=old, reference=reference if beta else None, beta=beta, clip=clip
    )
    shares = [group_shares(norm, torch.ones(4), LENGTHS[g], SCORED[g]) for g in range(3)]
    counts = sum((Counts.of_group(LENGTHS[g], SCORED[g]) for g in range(3)), Counts())
    scales = torch.cat(shares) * final_scale(norm, counts)
    config = VanillaConfig(clip_low=clip[0], clip_high=clip[1], kl=beta)
    loss = vanilla_loss(log_probs(model, BATCH), BATCH.mask, values, scales, old, config, reference if beta else None)
    assert difference(gradient(model, loss.loss), expected) <= CLOSE
    assert loss.clipped > 5
    assert difference(ours(norm), expected) > 1e-2, "the clip and the KL term changed nothing"


def test_a_first_vanilla_update_without_kl_is_on_policy() -> None:
    model = tiny_model(0)
    values, now = advantages().values.flatten(), log_probs(model, BATCH)
    scales = torch.cat([group_shares("batch_token", torch.ones(4), LENGTHS[g], SCORED[g]) for g in range(3)])
    scales = scales * final_scale("batch_token", Counts(tokens=int(LENGTHS.sum())))
    loss = vanilla_loss(now, BATCH.mask, values, scales, now.detach(), VanillaConfig(kl=0.0))
    assert loss.clipped == 0
    assert difference(gradient(model, loss.loss), ours("batch_token")) <= CLOSE
