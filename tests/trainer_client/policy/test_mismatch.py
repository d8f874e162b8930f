"""Differences between sampler and trainer, as numbers; refused above a bound, or weighed."""

from __future__ import annotations

import math

import pytest
import torch

from rewardmesh.trainer_client.policy.mismatch import MismatchError, MismatchMeter, importance_weights


def test_it_adds_up_token_by_token_and_completion_by_completion() -> None:
    meter = MismatchMeter()
    trained = torch.tensor([[-1.0, -2.0, 0.0], [-1.0, -1.0, -1.5]])
    sampled = torch.tensor([[-1.2, -2.0, -9.0], [-1.0, -1.5, -1.0]])
    meter.add(trained, sampled, torch.tensor([[True, True, False], [True, True, True]]))
    meter.add(torch.tensor([[-0.5]]), torch.tensor([[-0.4]]), torch.tensor([[True]]))
    found = meter.result()
    assert found.tokens == 6
    assert found.mean == pytest.approx((0.2 + 0.5 + 0.5 + 0.1) / 6)
    assert found.largest == pytest.approx(0.5)
    k3 = [math.exp(r) - 1 - r for r in (0.2, 0.0, -0.1)]
    assert found.kl == pytest.approx(sum(k3) / 3)


def test_kl_is_estimated_without_bias() -> None:
    """One token, three outcomes: the mean over many samples is KL(sampler || trainer)."""
    generator = torch.Generator().manual_seed(0)
    sampler, trainer = torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0.4, 0.4, 0.2]).log()
    drawn = torch.multinomial(sampler.exp(), 4000, replacement=True, generator=generator)
    meter = MismatchMeter()
    meter.add(trainer[drawn][:, None], sampler[drawn][:, None], torch.ones(4000, 1, dtype=torch.bool))
    exact = (sampler.exp() * (sampler - trainer)).sum().item()
    assert meter.result().kl == pytest.approx(exact, rel=0.1)


def test_nothing_compared_is_no_mismatch() -> None:
    MismatchMeter().result().check(0.0)


@pytest.mark.parametrize(("trained", "allowed"), [(-1.01, True), (-1.2, False), (math.nan, False), (-math.inf, False)])
def test_above_the_bound_it_is_refused(trained: float, allowed: bool) -> None:
    meter = MismatchMeter()
    meter.add(torch.tensor([[-1.0, trained]]), torch.tensor([[-1.0, -1.0]]), torch.ones(1, 2, dtype=torch.bool))
    if allowed:
        meter.result().check(0.02)
    else:
        with pytest.raises(MismatchError, match="on 2 tokens"):
            meter.result().check(0.02)


def test_a_difference_that_is_not_a_number_is_not_lost() -> None:
    meter = MismatchMeter()
    for trained in (math.nan, -1.0):
        meter.add(torch.tensor([[trained]]), torch.tensor([[-1.0]]), torch.tensor([[True]]))
    assert meter.result().largest == math.inf
    assert math.isnan(meter.result().mean)


def test_importance_weights_make_up_for_the_sampler() -> None:
    """The weighed gradient over the sampler's distribution is the trainer's own, exactly, below the cap."""
    logits = torch.tensor([0.3, -0.2, 0.5], requires_grad=True)
    sampler = torch.tensor([0.5, 0.3, 0.2])
    advantage = torch.tensor([1.0, -0.5, 0.2])
    log_probs = logits.log_softmax(0)
    weights = importance_weights(log_probs, sampler.log(), cap=10.0)
    (weighed,) = torch.autograd.grad((sampler * weights * log_probs * advantage).sum(), logits, retain_graph=True)
    (own,) = torch.autograd.grad((log_probs.exp() * advantage).sum(), logits)
    torch.testing.assert_close(weighed, own)


def test_importance_weights_are_capped_and_have_no_gradient() -> None:
    trained = torch.tensor([[-1.0, -5.0]], requires_grad=True)
    weights = importance_weights(trained, torch.tensor([[-3.0, -4.0]]), cap=2.0)
    assert weights.tolist() == [[2.0, pytest.approx(math.exp(-1))]]
    assert not weights.requires_grad


def test_equal_policies_weigh_one() -> None:
    same = torch.randn(2, 3)
    assert importance_weights(same, same, cap=1.0).tolist() == [[1.0] * 3] * 2


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        importance_weights(torch.zeros(1, 1), torch.zeros(1, 1), cap=0.5)
