"""Parts of the model with rates of their own, and vanilla updates: what the configuration changes of a step."""

from __future__ import annotations

import dataclasses

import pytest

from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig
from rewardmesh.trainer_client.policy.parts import PartRates, part_of
from rewardmesh.trainer_client.training.trainer import Trainer
from tests.trainer_client.training.small import CONFIG, prompts, replaying, same, weights


def moved(training: Trainer) -> dict[str, float]:
    """How far a step moves each part, at most."""
    names = [name for name, _ in training.policy.model.named_parameters()]
    before = weights(training)
    training.step()
    found: dict[str, float] = {}
    for name, a, b in zip(names, before, weights(training), strict=True):
        found[part_of(name)] = max(found.get(part_of(name), 0.0), float((a - b).abs().max()))
    return found


def test_each_part_moves_at_its_rate_and_frozen_ones_do_not() -> None:
    """Adam's first step moves weights by about the learning rate."""
    whole = moved(replaying())
    assert whole == {part: pytest.approx(4e-4, rel=0.01) for part in ("vision", "projector", "language")}
    some = moved(replaying(config=dataclasses.replace(CONFIG, rates=PartRates(None, 1e-3, 1e-4))))
    assert some == {
        "vision": 0.0,
        "projector": pytest.approx(1e-3, rel=0.01),
        "language": pytest.approx(1e-4, rel=0.01),
    }


@pytest.mark.parametrize("norm", ["group_token", "batch_token", "seq"])
def test_one_vanilla_update_without_kl_is_the_on_policy_step(norm: str) -> None:
    """Where the ratio is 1 nothing is clipped: the gradient is the same, up to the noise of other batches."""
    config = dataclasses.replace(CONFIG, norm=norm)
    one = replaying(config=config, drawn=prompts(6))
    other = replaying(config=dataclasses.replace(config, vanilla=VanillaConfig(updates=1, kl=0.0)), drawn=prompts(6))
    assert one.step().gradient_norm == pytest.approx(other.step().gradient_norm, rel=1e-4)
    assert other.policy.version == 1


def test_vanilla_takes_several_updates_and_a_reference_holds_them_back() -> None:
    def far(kl: float, updates: int) -> float:
        training = replaying(config=dataclasses.replace(CONFIG, vanilla=VanillaConfig(updates=updates, kl=kl)))
        before = weights(training)
        metrics = training.step()
        assert training.policy.version == updates
        assert all(task.entropy is not None for task in metrics.tasks.values())
        return sum(float((a - b).square().sum()) for a, b in zip(before, weights(training), strict=True))

    assert far(0.0, 1) < far(0.0, 4)
    assert far(100.0, 4) < far(0.0, 4)


def test_vanilla_is_not_the_default() -> None:
    one, other = replaying(), replaying(config=dataclasses.replace(CONFIG, vanilla=VanillaConfig(updates=2)))
    one.step()
    other.step()
    assert not same(one, other)
    with pytest.raises(ValueError, match="norms group_token, batch_token and seq"):
        replaying(config=dataclasses.replace(CONFIG, norm="task_balanced", vanilla=VanillaConfig()))
