"""One on-policy step of the full model: what changes, what must not, and what is refused."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import pytest
import torch

from rewardmesh.contract import Failure, Outcome, Rollout, Score, Verdict
from rewardmesh.trainer_client.demo.tasks import TASKS, WORDS, make_prompt
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.sft import warm_up
from rewardmesh.trainer_client.rollout import Prompt, RewardsFailedError
from rewardmesh.trainer_client.training.trainer import Batch, GrpoConfig, StalePolicyError, Trainer

BROKEN = Failure("unavailable", "not loaded")
CONFIG = GrpoConfig(SamplingConfig(group_size=4, max_tokens=6))


class Rule:
    """Scores each rollout by a rule of its own, and keeps what it was sent."""

    def __init__(self, rule: Callable[[Rollout], Outcome]) -> None:
        self.rule = rule
        self.seen: list[Rollout] = []

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        self.seen += rollouts
        return [Verdict(r.id, self.rule(r), task=r.task) for r in rollouts]


def digits(rollout: Rollout) -> Score:
    """The share of the completion's characters that are digits: an untrained policy gets some of it."""
    return Score(sum(c.isdigit() for c in rollout.completion) / max(1, len(rollout.completion)))


def prompts(count: int = 3) -> list[Prompt]:
    return [make_prompt(task, number)[0] for number in range(count // 3) for task in TASKS]


@functools.cache
def taught() -> dict[str, torch.Tensor]:
    """Weights that answer shortly, with and without digits. Untrained ones hardly ever end, and so never earn."""
    policy = Policy.tiny(WORDS, seed=1)
    answers = ("7", "a", "b2", "cd", "4x9", "red")
    warm_up(policy, lambda: [(p, a) for p in prompts() for a in answers], steps=25, learning_rate=3e-3)
    return policy.model.state_dict()


def policy() -> Policy:
    fresh = Policy.tiny(WORDS, seed=1)
    fresh.model.load_state_dict(taught())
    return fresh


def trainer(rule: Callable[[Rollout], Outcome] = digits, config: GrpoConfig = CONFIG) -> Trainer:
    return Trainer(policy(), Rule(rule), config, seed=2)


def weights(of: Trainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in of.policy.model.parameters()]


def same(one: Trainer, other: Trainer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_a_step_changes_every_tensor_of_the_model() -> None:
    training = trainer()
    before = weights(training)
    metrics = training.train_step(prompts())
    names = [name for name, _ in training.policy.model.named_parameters()]
    still = [n for n, a, b in zip(names, before, weights(training), strict=True) if torch.equal(a, b)]
    assert still == []
    assert {"model.visual.merger", "model.visual.blocks", "model.language_model.layers"} == {
        ".".join(n.split(".")[:3]) for n in names if n.split(".")[2] in ("merger", "blocks", "layers")
    }
    assert training.policy.version == 1
    assert metrics.gradient_norm is not None


def test_micro_batches_do_not_change_the_gradient() -> None:
    gradients: list[list[torch.Tensor]] = []
    for micro_batch in (1000, 5, 1):
        training = trainer(config=dataclasses.replace(CONFIG, micro_batch=micro_batch, max_gradient_norm=1e9))
        training.train_step(prompts())
        gradients.append([p.grad for p in training.policy.model.parameters() if p.grad is not None])
    scale = max(g.abs().max().item() for g in gradients[0])
    for other in gradients[1:]:
        assert max((a - b).abs().max().item() for a, b in zip(gradients[0], other, strict=True)) < 1e-5 * scale


def test_rewards_raise_the_reward() -> None:
    training = trainer(config=dataclasses.replace(CONFIG, learning_rate=1e-3))
    steps = [training.train_step(prompts()).tasks.values() for _ in range(12)]
    rewards = [fmean(task.reward or 0.0 for task in tasks) for tasks in steps]
    assert fmean(rewards[-3:]) > fmean(rewards[:2]) + 0.2


def test_a_completion_that_never_ended_earns_nothing() -> None:
    rule = Rule(lambda rollout: Score(1.0))
    config = GrpoConfig(SamplingConfig(group_size=8, max_tokens=2))
    batch = Trainer(policy(), rule, config, seed=2).collect(prompts())
    assert batch.rewards == [0.0 if r.truncated else 1.0 for r in rule.seen]
    assert {0.0, 1.0} == set(batch.rewards)


def test_rollouts_carry_what_a_reward_needs() -> None:
    rule = Rule(digits)
    training = Trainer(policy(), rule, CONFIG, seed=2)
    training.train_step(prompts())
    training.train_step(prompts())
    first, last = rule.seen[0], rule.seen[-1]
    assert (first.policy_version, first.step) == (0, 0)
    assert (last.policy_version, last.step) == (1, 1)
    assert first.group == "grounding-0"
    assert (first.task, first.source) == ("grounding", "shapes")
    assert first.images[0].data.startswith(b"\x89PNG")
    assert first.reference == prompts()[0].reference
    assert len({r.id for r in rule.seen[: len(rule.seen) // 2]}) == 12


def failing(batch: Batch, places: Sequence[int]) -> Batch:
    """The batch, with these rewards failed."""
    return paying(batch, dict.fromkeys(places))


def paying(batch: Batch, instead: Mapping[int, float | None]) -> Batch:
    """The batch, with other rewards at these places."""
    return dataclasses.replace(batch, rewards=[instead.get(i, value) for i, value in enumerate(batch.rewards)])


def without_group(batch: Batch, group: int, size: int) -> Batch:
    """The batch, as if this group had not been drawn."""
    kept = [i for i in range(len(batch.rewards)) if i // size != group]
    samples = batch.samples
    rows = samples.rows[kept]
    return Batch(
        [p for i, p in enumerate(batch.prompts) if i != group],
        [p for i, p in enumerate(batch.encoded) if i != group],
        dataclasses.replace(
            samples,
            rows=torch.where(rows > group, rows - 1, rows),
            tokens=samples.tokens[kept],
            mask=samples.mask[kept],
            log_probs=samples.log_probs[kept],
            truncated=samples.truncated[kept],
        ),
        [batch.rewards[i] for i in kept],
    )


def test_a_failed_group_leaves_no_trace() -> None:
    one, other = trainer(), trainer()
    batch = one.collect(prompts())
    metrics = one.update(failing(batch, range(4, 8)))
    other.update(without_group(batch, 1, 4))
    assert same(one, other)
    assert (metrics.tasks["counting"].failures, metrics.tasks["counting"].reward) == (4, None)


def test_a_failed_rollout_leaves_no_trace_whatever_it_says() -> None:
    one, other, naive = trainer(), trainer(), trainer()
    batch = one.collect(prompts())
    one.update(failing(batch, [5]))
    tokens = batch.samples.tokens.clone()
    tokens[5, :2] = torch.tensor([7, 8])
    other.update(dataclasses.replace(failing(batch, [5]), samples=dataclasses.replace(batch.samples, tokens=tokens)))
    assert same(one, other)
    naive.update(paying(batch, {5: 0.0}))
    assert not same(one, naive), "a failure was learnt from as a zero"


def test_a_group_without_spread_leaves_no_trace() -> None:
    one, other = trainer(), trainer()
    batch = one.collect(prompts())
    metrics = one.update(paying(batch, dict.fromkeys(range(4), 1.0)))
    other.update(without_group(batch, 0, 4))
    assert same(one, other)
    assert metrics.tasks["grounding"].zero_spread == 1.0
    assert metrics.tasks["grounding"].entropy is None


def test_a_batch_without_any_spread_takes_no_step() -> None:
    training = trainer(lambda rollout: Score(0.5) if rollout.truncated else Score(0.0))  # cut off earns 0 as well
    before = weights(training)
    metrics = training.train_step(prompts())
    assert all(torch.equal(a, b) for a, b in zip(before, weights(training), strict=True))
    assert metrics.gradient_norm is None
    assert (training.policy.version, training.step) == (0, 1)


def test_a_stale_batch_is_refused() -> None:
    training = trainer()
    batch = training.collect(prompts())
    training.update(batch)
    with pytest.raises(StalePolicyError, match="sampled by policy 0, the newest is 1"):
        training.update(batch)


def test_rewards_that_all_fail_stop_the_run() -> None:
    with pytest.raises(RewardsFailedError, match=r"all 12 rewards failed.*not loaded"):
        trainer(lambda rollout: BROKEN).train_step(prompts())


def test_verdicts_of_other_rollouts_are_refused() -> None:
    class Shuffled(Rule):
        def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
            return super().score(rollouts)[::-1]

    with pytest.raises(RuntimeError, match="not theirs in order"):
        Trainer(policy(), Shuffled(digits), CONFIG, seed=2).train_step(prompts())


def test_metrics_by_task() -> None:
    values = {"grounding": 0.25, "counting": 0.5, "temporal": 1.0}

    def rule(rollout: Rollout) -> Outcome:
        if rollout.task == "counting" and rollout.id == "counting-0/4":
            return BROKEN
        return Score(values[rollout.task])

    config = dataclasses.replace(CONFIG, sampling=SamplingConfig(group_size=4, max_tokens=64))
    tasks = trainer(rule, config).train_step(prompts()).tasks
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
    training = trainer(config=dataclasses.replace(CONFIG, learning_rate=1e-3, decay_steps=2))
    moves: list[float] = []
    for _ in range(4):
        before = weights(training)
        training.train_step(prompts())
        moves.append(max((a - b).abs().max().item() for a, b in zip(before, weights(training), strict=True)))
    assert moves[0] == pytest.approx(1e-3, rel=0.05)
    assert max(moves[2:]) < 0.3 * moves[0]
