"""One on-policy step of the full model: what changes, what must not, and what is refused."""

from __future__ import annotations

import dataclasses
from statistics import fmean

import pytest
import torch

from rewardmesh.contract import Failure, Outcome, Rollout, Score
from rewardmesh.trainer_client.demo.tasks import WORDS, make_prompt
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.sft import warm_up
from rewardmesh.trainer_client.training.descent import GradientError
from rewardmesh.trainer_client.training.overlap import StalePolicyError
from tests.trainer_client.training.small import (
    CONFIG,
    TASKS,
    Replay,
    Rule,
    digits,
    gradient,
    prompts,
    replaying,
    same,
    sampled,
    trainer,
    weights,
)

BROKEN = Failure("unavailable", "not loaded")
COUNTING = "counting-0"


def instead(id: str, outcome: Outcome, numbers: tuple[int, ...] = (0, 1, 2, 3)) -> Rule:
    """`digits`, but for these completions of one prompt."""
    chosen = {f"{id}/{number}" for number in numbers}
    return Rule(lambda rollout: outcome if rollout.id in chosen else digits(rollout))


def test_a_step_changes_every_tensor_of_the_model() -> None:
    training = trainer()
    before = weights(training)
    metrics = training.step()
    names = [name for name, _ in training.policy.model.named_parameters()]
    still = [n for n, a, b in zip(names, before, weights(training), strict=True) if torch.equal(a, b)]
    assert still == []
    assert {"model.visual.merger", "model.visual.blocks", "model.language_model.layers"} == {
        ".".join(n.split(".")[:3]) for n in names if n.split(".")[2] in ("merger", "blocks", "layers")
    }
    assert training.policy.version == 1
    assert metrics.gradient_norm is not None


def test_a_gradient_that_is_no_number_changes_nothing() -> None:
    training = trainer()
    before = weights(training)
    next(training.policy.model.parameters()).register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(GradientError, match="norm is nan: no step can be taken"):
        training.step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(training), strict=True))
    assert training.policy.version == 0


@pytest.mark.parametrize("norm", ["group_token", "batch_token", "seq", "task_balanced"])
def test_neither_micro_batches_nor_waves_change_the_gradient(norm: str) -> None:
    """The mean of the means of micro-batches would be off by a few percent."""
    gradients: list[torch.Tensor] = []
    for micro_batch, wave in ((1000, 0), (5, 1), (1, 4)):
        config = dataclasses.replace(
            CONFIG, norm=norm, micro_batch=micro_batch, prompts_per_wave=wave, max_gradient_norm=1e9
        )
        training = replaying(config=config, drawn=prompts(6))
        training.step()
        gradients.append(gradient(training))
    for other in gradients[1:]:
        assert (gradients[0] - other).norm() < 1e-5 * gradients[0].norm()


def test_rewards_raise_the_reward() -> None:
    training = trainer(config=dataclasses.replace(CONFIG, learning_rate=1e-3))
    steps = [training.step().tasks.values() for _ in range(12)]
    rewards = [fmean(task.reward or 0.0 for task in tasks) for tasks in steps]
    assert fmean(rewards[-3:]) > fmean(rewards[:2]) + 0.2


def test_a_completion_that_never_ended_earns_nothing() -> None:
    cut: dict[str, bool] = {}

    def rule(rollout: Rollout) -> Score:
        cut[rollout.id] = rollout.truncated
        return Score(1.0)

    training = trainer(rule, sampling=SamplingConfig(group_size=8, max_tokens=2))
    training.step()
    earned = [
        (f"{result.draw.prompt.id}/{number}", reward)
        for result in training._mixture.observed  # type: ignore[attr-defined]
        for number, reward in enumerate(result.rewards)
    ]
    assert earned == [(id, 0.0 if cut[id] else 1.0) for id, _ in earned]
    assert {True, False} == set(cut.values())


def test_rollouts_carry_what_a_reward_needs() -> None:
    rule = Rule(digits)
    training = replaying(rule)
    training.step()
    training.step()
    first, last = rule.seen[0], rule.seen[-1]
    assert (first.policy_version, first.step) == (0, 0)
    assert (last.policy_version, last.step) == (1, 1)
    assert first.group in {p.id for p in prompts()}
    assert (first.task, first.source) == (first.group.split("-")[0], "shapes")
    assert first.images[0].data.startswith(b"\x89PNG")
    assert first.reference in [p.reference for p in prompts()]
    assert len({r.id for r in rule.seen[: len(rule.seen) // 2]}) == 12


def test_a_failed_reward_drops_its_group_without_a_trace() -> None:
    drawn = [p for p in prompts(6) if p.id != COUNTING]
    one = replaying(instead(COUNTING, BROKEN, (1,)), drawn=prompts(6))
    other = replaying(drawn=drawn)
    metrics = one.step()
    other.step()
    assert same(one, other)
    assert metrics.tasks["counting"].failures == 1
    naive = replaying(instead(COUNTING, Score(0.0), (1,)), drawn=prompts(6))
    naive.step()
    assert not same(one, naive), "the failure would have shown"


def test_with_min_valid_a_failed_rollout_leaves_no_trace_whatever_it_says() -> None:
    config = dataclasses.replace(CONFIG, min_valid=2)
    completions = list(sampled()[COUNTING])
    completions[1] = dataclasses.replace(completions[1], tokens=torch.tensor([7, 8, 9]), text="???")
    one = replaying(instead(COUNTING, BROKEN, (1,)), config)
    other = replaying(instead(COUNTING, BROKEN, (1,)), config, instead={COUNTING: completions})
    naive = replaying(instead(COUNTING, Score(0.0), (1,)), config)
    assert one.step().trained == 3
    other.step()
    naive.step()
    assert same(one, other)
    assert not same(one, naive), "a failure was learnt from as a zero"
    strict = replaying(instead(COUNTING, BROKEN, (1,)), dataclasses.replace(CONFIG, min_valid=4))
    assert strict.step().trained == 2


def test_a_group_without_spread_leaves_no_trace() -> None:
    one = replaying(instead(COUNTING, Score(0.0)))
    other = replaying(drawn=[p for p in prompts() if p.id != COUNTING])
    metrics = one.step()
    other.step()
    assert same(one, other)
    assert metrics.tasks["counting"].zero_spread == 1.0
    assert metrics.tasks["counting"].entropy is None


def test_a_batch_without_any_spread_takes_no_step() -> None:
    training = replaying(Rule(lambda rollout: Score(0.0)))
    before = weights(training)
    metrics = training.step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(training), strict=True))
    assert metrics.gradient_norm is None
    assert (training.policy.version, training.taken) == (0, 1)


def test_completions_of_older_weights_are_refused() -> None:
    class Late(Replay):
        """Goes on sampling from the weights it was made with."""

        def generate(self, prompts, seed, finished):  # type: ignore[no-untyped-def]
            old = lambda c: dataclasses.replace(c, policy_version=0)  # noqa: E731
            return [old(c) for c in super().generate(prompts, seed, lambda ended: finished([old(c) for c in ended]))]

    training = replaying()
    training._generation = Late(training.policy, sampled())  # type: ignore[assignment]
    training.step()
    before = weights(training)
    with pytest.raises(StalePolicyError, match="sampled by policy 0, the newest is 1"):
        training.step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(training), strict=True))


def test_verdicts_of_other_rollouts_are_refused() -> None:
    class Shuffled(Rule):
        def score(self, rollouts):  # type: ignore[no-untyped-def]
            return super().score(rollouts)[::-1]

    training = trainer()
    training._scorer = Shuffled(digits)
    with pytest.raises(RuntimeError, match="not theirs in order"):
        training.step()


def test_metrics_by_task() -> None:
    values = {"grounding": 0.25, "counting": 0.5, "temporal": 1.0}

    def rule(rollout: Rollout) -> Outcome:
        return BROKEN if rollout.id == f"{COUNTING}/1" else Score(values[rollout.task])

    training = trainer(rule, sampling=SamplingConfig(group_size=4, max_tokens=64))
    tasks = training.step().tasks
    assert {task: m.reward for task, m in tasks.items()} == values
    assert {task: m.failures for task, m in tasks.items()} == {"grounding": 0, "counting": 1, "temporal": 0}
    assert all(m.zero_spread == 1.0 and m.truncated == 0 and m.rollouts == 4 for m in tasks.values())


def test_warm_up_teaches_the_full_model() -> None:
    learner = Policy.tiny(WORDS, seed=0)
    before = [p.detach().clone() for p in learner.model.parameters()]
    losses = warm_up(learner, lambda: [make_prompt(task, 0) for task in TASKS], steps=25, learning_rate=3e-3)
    assert losses[-1] < losses[0] / 3
    assert learner.version == 25
    assert not any(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))


def test_the_learning_rate_falls_to_a_tenth_and_stays() -> None:
    """Adam's first steps move every weight by about the learning rate, whatever the gradient."""
    training = replaying(config=dataclasses.replace(CONFIG, learning_rate=1e-3, decay_steps=2))
    moves: list[float] = []
    for _ in range(4):
        before = weights(training)
        training.step()
        moves.append(max((a - b).abs().max().item() for a, b in zip(before, weights(training), strict=True)))
    assert moves[0] == pytest.approx(1e-3, rel=0.05)
    assert max(moves[2:]) < 0.3 * moves[0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prompts_per_step": 0}, "prompts_per_step must be at least 1, got 0"),
        ({"micro_batch": 0}, "micro_batch must be at least 1"),
        ({"max_redraws": -1}, "max_redraws must be at least 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"min_valid": 1}, "min_valid must be at least 2"),
        ({"max_failure_rate": 1.5}, r"max_failure_rate must lie in \[0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(CONFIG, **wrong)  # type: ignore[arg-type]
