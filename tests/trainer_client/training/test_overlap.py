"""Verdicts at any time and in any order: the same step, to the bit. Groups that taught nothing are drawn again."""

from __future__ import annotations

import dataclasses
import queue
import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
import torch

from rewardmesh.contract import Failure, Outcome, Rollout, Score, Verdict
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.rollout import RewardsFailedError
from rewardmesh.trainer_client.training.config import Overlong
from tests.trainer_client.training.small import (
    CONFIG,
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

FLAT = Score(0.5)
SLOW = Failure("timeout", "too late", retryable=True)


class AnyOrder(Rule):
    """Answers from a thread of its own: what it is asked piles up, and a random part of it is answered now and then."""

    def __init__(self, rule, seed: int) -> None:  # type: ignore[no-untyped-def]
        super().__init__(rule)
        self._random = random.Random(seed)
        self._asked: queue.SimpleQueue[tuple[Sequence[Rollout], Future[list[Verdict]]]] = queue.SimpleQueue()
        threading.Thread(target=self._answer, daemon=True).start()

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        future: Future[list[Verdict]] = Future()
        self._asked.put((rollouts, future))
        return future

    def _answer(self) -> None:
        waiting: list[tuple[Sequence[Rollout], Future[list[Verdict]]]] = []
        while True:
            patience = self._random.choice([0.0, 0.001, 0.01])
            try:
                waiting.append(self._asked.get(timeout=patience) if waiting else self._asked.get())
            except queue.Empty:
                for _ in range(self._random.randint(1, len(waiting))):
                    rollouts, future = waiting.pop(self._random.randrange(len(waiting)))
                    future.set_result(self.score(rollouts))


def unlucky(rollout: Rollout) -> Outcome:
    """Some groups have no spread, one has a reward that fails."""
    if rollout.group == "counting-0":
        return FLAT
    return SLOW if rollout.id == "temporal-1/2" else digits(rollout)


@pytest.mark.parametrize("norm", ["group_token", "task_balanced"])
def test_when_verdicts_arrive_changes_nothing(norm: str) -> None:
    config = dataclasses.replace(CONFIG, norm=norm, prompts_per_wave=2, micro_batch=8, max_redraws=2, retries=1)
    arguments = {"config": config, "drawn": prompts(6), "spare": prompts(12)[6:9]}
    one = replaying(Rule(unlucky), **arguments)
    others = [replaying(AnyOrder(unlucky, seed), **arguments) for seed in range(2)]
    for _ in range(2):
        told = one.step()
        for other in others:
            heard = other.step()
            assert dataclasses.replace(heard, seconds={}) == dataclasses.replace(told, seconds={})
    assert all(same(one, other) for other in others)


@pytest.mark.timeout(60)
def test_rewards_are_asked_for_as_completions_end_and_groups_are_trained_while_verdicts_are_missing() -> None:
    """A group's verdicts come only when the one before it is being trained on: waiting for all would take for ever."""
    events: list[str] = []
    held: list[tuple[Sequence[Rollout], Future[list[Verdict]]]] = []

    class Held(Rule):
        def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
            future: Future[list[Verdict]] = Future()
            held.append((rollouts, future))
            events.append(f"ask {rollouts[0].group}")
            if len(held) == 12:  # of 3 prompts with 4 completions
                self.release(prompts()[0].id)
            return future

        def release(self, group: str) -> None:
            for rollouts, future in held:
                if rollouts[0].group == group:
                    future.set_result(self.score(rollouts))

    scorer = Held(digits)
    training = replaying(scorer, dataclasses.replace(CONFIG, prompts_per_wave=1, micro_batch=4))
    generation, encode = training._generation, training.policy.encode
    generate = generation.generate
    ids = [p.id for p in prompts()]

    def noted(prompts, seed, finished):  # type: ignore[no-untyped-def]
        events.append(f"generate {prompts[0].id}")
        return generate(prompts, seed, finished)

    def reading(prompt):  # type: ignore[no-untyped-def]
        events.append(f"train {prompt.id}")
        if prompt.id != ids[-1]:
            scorer.release(ids[ids.index(prompt.id) + 1])
        return encode(prompt)

    generation.generate = noted  # type: ignore[method-assign]
    training.policy.encode = reading  # type: ignore[method-assign]
    training.step()
    each = [[f"generate {id}", *[f"ask {id}"] * 4] for id in ids]
    assert events == [*each[0], *each[1], *each[2], *[f"train {id}" for id in ids]]


def test_groups_that_taught_nothing_are_drawn_again_a_bounded_number_of_times() -> None:
    config = dataclasses.replace(CONFIG, max_redraws=2)
    spare = [p for p in prompts(12)[3:] if p.task == "counting"]

    def rule(rollout: Rollout) -> Outcome:
        return FLAT if rollout.task == "counting" and rollout.group != "counting-2" else digits(rollout)

    training = replaying(Rule(rule), config, spare=spare)
    metrics = training.step()
    assert training._mixture.lost == [["counting-0"], ["counting-1"]]  # type: ignore[attr-defined]
    assert (metrics.redraws, metrics.trained) == (2, 3)
    assert [r.draw.prompt.id for r in training._mixture.observed][3:] == ["counting-1", "counting-2"]  # type: ignore[attr-defined]
    whole = replaying(Rule(rule), drawn=[p for p in prompts() if p.task != "counting"] + [spare[1]])
    whole.step()
    assert same(training, whole), "as if the third had been drawn at once"

    bounded = replaying(Rule(rule), dataclasses.replace(config, max_redraws=1), spare=spare)
    assert (bounded.step().trained, bounded._mixture.lost) == (2, [["counting-0"]])  # type: ignore[attr-defined]


def test_a_failure_is_asked_about_again_unless_it_is_the_datas_fault() -> None:
    failures = {
        "grounding-0/1": Failure("timeout", "too late"),
        "counting-0/2": Failure("crashed", "gone"),
        "temporal-0/0": Failure("invalid_reference", "no segment"),
    }
    asked: list[str] = []

    def rule(rollout: Rollout) -> Outcome:
        asked.append(rollout.id)
        return failures[rollout.id] if rollout.id in failures and asked.count(rollout.id) <= 2 else digits(rollout)

    training = replaying(Rule(rule), dataclasses.replace(CONFIG, retries=2))
    metrics = training.step()
    assert {id: asked.count(id) for id in failures} == {"grounding-0/1": 3, "counting-0/2": 3, "temporal-0/0": 1}
    assert {task: m.failures for task, m in metrics.tasks.items()} == {"grounding": 0, "counting": 0, "temporal": 1}
    clean = replaying(drawn=prompts()[:2])
    clean.step()
    assert same(training, clean)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (
            lambda r: r.id.endswith(("/0", "/1", "/2")),
            r"9 of 12 rewards failed, more than 50%: counting timeout 3x, .*too",
        ),
        (
            lambda r: r.task == "counting",
            r"4 of 12 rewards failed, every reward of task 'counting': counting timeout 4x",
        ),
    ],
)
def test_too_many_failures_give_the_step_up_and_leave_everything_as_it_was(broken, says: str) -> None:  # type: ignore[no-untyped-def]
    """Afterwards the step can be taken as if nothing had been."""
    down = True
    rule = Rule(lambda rollout: SLOW if down and broken(rollout) else digits(rollout))
    one, other = trainer(rule.rule), trainer()
    for training in (one, other):
        training._mixture = Mixture([Source("s", "counting", prompts(12))], seed=3)
    before = weights(one)
    with pytest.raises(RewardsFailedError, match=says):
        replaying(rule).step()
    with pytest.raises(RewardsFailedError):
        one.step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(one), strict=True))
    assert (one.taken, one.policy.version) == (0, 0)
    assert all(p.grad is None for p in one.policy.model.parameters())
    down = False
    for _ in range(2):
        assert dataclasses.replace(one.step(), seconds={}) == dataclasses.replace(other.step(), seconds={})
    assert same(one, other)


def test_measuring_the_tasks_gradients_does_not_change_the_step() -> None:
    one = replaying(config=dataclasses.replace(CONFIG, measure_every=2), drawn=prompts(6))
    other = replaying(drawn=prompts(6))
    reports = [one.step().gradients for _ in range(3)]
    for _ in range(3):
        other.step()
    assert same(one, other)
    assert torch.equal(gradient(one), gradient(other))
    assert reports[1] is None
    first = reports[0]
    assert first is not None
    assert reports[2] is not None
    assert first.groups == {"grounding": 2, "counting": 2, "temporal": 2}
    assert all(value is not None for value in first.halves.values())


def test_what_was_measured_is_what_the_step_is_made_of() -> None:
    """With a single task its norm is the step's."""
    config = dataclasses.replace(CONFIG, measure_every=1, norm="batch_token")
    metrics = replaying(config=config, drawn=[p for p in prompts(6) if p.task == "temporal"]).step()
    assert metrics.gradients is not None
    assert metrics.gradients.norms["temporal"] == pytest.approx(metrics.gradient_norm, rel=1e-4)


def test_gdpo_credits_components_and_scaling_scales() -> None:
    def rule(rollout: Rollout) -> Score:
        whole, number = digits(rollout).value, int(rollout.id[-1]) % 2
        return Score((whole + number) / 2, components={"digits": whole, "odd": float(number)})

    one_task = [p for p in prompts(6) if p.task == "temporal"]
    plain, sure, odd = (
        replaying(Rule(rule), dataclasses.replace(CONFIG, gdpo=gdpo, max_gradient_norm=1e9), drawn=one_task)
        for gdpo in ({}, {"temporal": {"digits": 1.0}}, {"temporal": {"digits": 1.0, "odd": 1.0}})
    )
    digits_alone = replaying(config=dataclasses.replace(CONFIG, max_gradient_norm=1e9), drawn=one_task)
    twice = replaying(
        config=dataclasses.replace(CONFIG, max_gradient_norm=1e9, task_scale={"temporal": 2.0}), drawn=one_task
    )
    for training in (plain, sure, odd, digits_alone, twice):
        training.step()
    truncated = [c.truncated for p in one_task for c in sampled()[p.id]]
    assert not any(truncated), "their components would not count"
    assert torch.allclose(gradient(sure), gradient(digits_alone), rtol=1e-5, atol=1e-9)
    assert torch.allclose(gradient(twice), 2 * gradient(digits_alone), rtol=1e-4, atol=1e-9)
    assert not torch.allclose(gradient(plain), gradient(odd), rtol=1e-2)
    with pytest.raises(ValueError, match="needs the component 'shape'; its reward's scores have digits, odd"):
        replaying(Rule(rule), dataclasses.replace(CONFIG, gdpo={"temporal": {"shape": 1.0}})).step()


def test_an_overlong_penalty_is_off_unless_it_is_asked_for() -> None:
    """Of completions that earn the same, shorter ones are credited with more."""
    rule = Rule(lambda rollout: FLAT)
    assert replaying(rule).step().trained == 0
    training = replaying(rule, dataclasses.replace(CONFIG, overlong=Overlong(limit=6, buffer=5)))
    unequal = [p for p in prompts() if len({len(c.tokens) for c in sampled()[p.id]}) > 1]
    assert training.step().trained == len(unequal) > 0
