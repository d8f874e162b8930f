"""Vanilla GRPO by hand; that it is TRL's is tested beside."""

from __future__ import annotations

import math

import pytest
import torch

from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig, vanilla_loss

YES = torch.tensor([[True]])


def loss_at(ratio: float, advantage: float, kl: float = 0.0, apart: float = 0.0, scale: float = 1.0):
    """Loss, its gradient by the log-probability, and the rest, for one token."""
    log_prob = torch.tensor([[-1.0]], dtype=torch.float64, requires_grad=True)
    found = vanilla_loss(
        log_prob, YES, torch.tensor([advantage]), torch.tensor([scale]), log_prob.detach() - math.log(ratio),
        VanillaConfig(clip_low=0.2, clip_high=0.3, kl=kl), log_prob.detach() + apart if kl else None,
    )  # fmt: skip
    found.loss.backward()
    assert log_prob.grad is not None
    return found.loss.item(), log_prob.grad.item(), found.clipped, found.kl


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        (1.0, 2.0, -2.0, -2.0, 0),
        (1.25, 2.0, -2.5, -2.5, 0),
        (1.5, 2.0, -2.6, 0.0, 1),  # already likelier than 1 + 0.3: no more of it
        (1.5, -2.0, 3.0, 3.0, 0),  # but a bad one may always come down
        (0.5, -2.0, 1.6, 0.0, 1),
        (0.5, 2.0, -1.0, -1.0, 0),
    ],
)
def test_the_clip_by_hand(ratio: float, advantage: float, loss: float, gradient: float, clipped: int) -> None:
    assert loss_at(ratio, advantage) == (pytest.approx(loss), pytest.approx(gradient), clipped, 0.0)


def test_the_kl_term_by_hand() -> None:
    divergence = math.exp(0.5) - 0.5 - 1
    loss, gradient, clipped, kl = loss_at(1.0, 0.0, kl=0.1, apart=0.5)
    assert (loss, kl) == (pytest.approx(0.1 * divergence), pytest.approx(divergence))
    assert gradient == pytest.approx(0.1 * (1 - math.exp(0.5)))
    assert clipped == 0


def test_what_has_no_scale_counts_nowhere() -> None:
    assert loss_at(9.0, 1.0, kl=0.1, apart=2.0, scale=0.0) == (0.0, 0.0, 0, 0.0)


def test_padding_may_hold_anything() -> None:
    log_probs = torch.tensor([[-1.0, -math.inf]], requires_grad=True)
    rubbish = torch.tensor([[-1.0, math.nan]])
    mask, one = torch.tensor([[True, False]]), torch.ones(1)
    vanilla_loss(log_probs, mask, one, one, rubbish, VanillaConfig(kl=0.1), rubbish).loss.backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [[-1.0, 0.0]]


@pytest.mark.parametrize("settings", [{"updates": 0}, {"clip_low": 1.1}, {"clip_high": -0.1}, {"kl": -1.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="updates must be"):
        VanillaConfig(**settings)  # type: ignore[arg-type]


def test_a_kl_term_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="reference"):
        vanilla_loss(torch.ones(1, 1), YES, torch.ones(1), torch.ones(1), torch.ones(1, 1), VanillaConfig())
