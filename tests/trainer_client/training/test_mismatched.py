"""A sampler that is not the policy: measured, refused, or made up for."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rewardmesh.trainer_client.policy.mismatch import MismatchError
from rewardmesh.trainer_client.training.trainer import Trainer
from tests.trainer_client.training.small import (
    CONFIG,
    Listed,
    Replay,
    Rule,
    digits,
    gradient,
    policy,
    prompts,
    same,
    sampled,
    trainer,
)


def off_by(nats: float, cap: float | None = None) -> Trainer:
    """Trains on completions whose sampler says each token was so much more likely than it is."""
    shifted = {
        name: [dataclasses.replace(each, log_probs=each.log_probs + nats) for each in group]
        for name, group in sampled().items()
    }
    learner = policy()
    config = dataclasses.replace(CONFIG, max_mismatch=0.05, importance_cap=cap, max_gradient_norm=1e6)
    return Trainer(learner, Replay(learner, shifted), Rule(digits), Listed(prompts()), config)


def test_the_models_own_samples_do_not_differ() -> None:
    metrics = trainer().step()
    assert metrics.mismatch is not None
    assert metrics.mismatch.tokens > 0
    assert metrics.mismatch.largest < 1e-5


def test_a_small_difference_is_measured() -> None:
    metrics = off_by(0.01).step()
    assert metrics.mismatch is not None
    assert metrics.mismatch.mean == pytest.approx(0.01, rel=1e-3)


def test_above_the_bound_the_step_is_given_up() -> None:
    training = off_by(0.06)
    before = off_by(0.06)
    with pytest.raises(MismatchError, match=r"differ by 0\.06 nats"):
        training.step()
    assert same(training, before)
    assert (training.taken, training.policy.version) == (0, 0)


def test_samples_of_other_weights_are_given_away_by_their_log_probs() -> None:
    """Their version is forged: it says that they are the newest policy's."""
    learner = policy()
    config = dataclasses.replace(CONFIG, learning_rate=1e-3)
    training = Trainer(learner, Replay(learner, sampled()), Rule(digits), Listed(prompts()), config)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.mul_(1.1)
    with pytest.raises(MismatchError):
        training.step()


@pytest.mark.parametrize(("nats", "cap", "factor"), [(-0.04, 10.0, 1.0408), (-0.04, 1.02, 1.02), (0.04, 1.0, 0.9608)])
def test_weights_make_up_for_it_up_to_the_cap(nats: float, cap: float, factor: float) -> None:
    """Every token is as much off: the gradient is that of the honest sampler, times the weight."""
    one, other = off_by(nats, cap), off_by(0.0)
    for training in (one, other):
        training.step()
    ratio = gradient(one).norm() / gradient(other).norm()
    assert ratio.item() == pytest.approx(factor, rel=1e-3)


def test_without_a_difference_weights_change_nothing() -> None:
    one, other = off_by(0.0, cap=2.0), off_by(0.0)
    for training in (one, other):
        training.step()
    torch.testing.assert_close(gradient(one), gradient(other), rtol=1e-4, atol=1e-6)
