"""A trainer of the tiny model, with prompts, completions and rewards that a test decides on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import torch

from rewardmesh.contract import Outcome, Rollout, Score, Verdict
from rewardmesh.trainer_client.demo.tasks import WORDS, make_prompt
from rewardmesh.trainer_client.mixing.mixture import Draw, GroupResult
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.generation import Generation, HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.sft import warm_up
from rewardmesh.trainer_client.rollout import Prompt
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.trainer import Trainer

TASKS = ("grounding", "counting", "temporal")
SAMPLING = SamplingConfig(group_size=4, max_tokens=6)
CONFIG = TrainerConfig(prompts_per_step=3, max_redraws=0, retries=0, learning_rate=4e-4, seed=2)


class Rule:
    """Scores each rollout by a rule of its own, at once, and keeps what it was asked."""

    def __init__(self, rule: Callable[[Rollout], Outcome]) -> None:
        self.rule = rule
        self.seen: list[Rollout] = []

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        self.seen += rollouts
        return [Verdict(r.id, self.rule(r), task=r.task) for r in rollouts]

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        future: Future[list[Verdict]] = Future()
        future.set_result(self.score(rollouts))
        return future


class Listed:
    """Draws the same prompts at every step, in order, and replaces what is lost by `spare` ones."""

    def __init__(self, prompts: Sequence[Prompt], spare: Sequence[Prompt] = ()) -> None:
        self.prompts = list(prompts)
        self.spare = list(spare)
        self.lost: list[list[str]] = []
        self.observed: list[GroupResult] = []

    def draw(self, step: int, count: int) -> list[Draw]:
        return [Draw(prompt, prompt.task, place, False) for place, prompt in enumerate(self.prompts)]

    def redraw(self, step: int, round: int, lost: Sequence[Draw]) -> list[Draw]:
        self.lost.append([draw.prompt.id for draw in lost])
        fresh, self.spare = self.spare[: len(lost)], self.spare[len(lost) :]
        return [Draw(prompt, prompt.task, place, False) for place, prompt in enumerate(fresh)]

    def observe(self, step: int, results: Sequence[GroupResult]) -> None:
        self.observed = list(results)

    def state_dict(self) -> Mapping[str, Any]:
        return {"spare": list(self.spare)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.spare = list(state["spare"])


class Replay:
    """Gives each prompt the completions that were sampled for it once, whatever it is generated together with."""

    def __init__(self, policy: Policy, sampled: Mapping[str, Sequence[Completion]]) -> None:
        self._policy = policy
        self.sampled = dict(sampled)
        self.waves: list[list[str]] = []

    def generate(
        self, prompts: Sequence[Prompt], seed: int, finished: Callable[[Sequence[Completion]], None]
    ) -> list[Completion]:
        self.waves.append([prompt.id for prompt in prompts])
        every = [
            dataclasses.replace(completion, prompt=place, policy_version=self._policy.version)
            for place, prompt in enumerate(prompts)
            for completion in self.sampled[prompt.id]
        ]
        for completion in sorted(every, key=lambda each: len(each.tokens)):
            finished([completion])
        return every

    def sync(self) -> None:
        pass


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


@functools.cache
def sampled(count: int = 12) -> dict[str, list[Completion]]:
    """Completions of the taught policy for `count` prompts, by prompt id."""
    asked = prompts(count)
    completions = HfGeneration(policy(), SAMPLING).generate(asked, 2, lambda _: None)
    return {p.id: [c for c in completions if c.prompt == place] for place, p in enumerate(asked)}


def trainer(
    rule: Callable[[Rollout], Outcome] = digits,
    config: TrainerConfig = CONFIG,
    drawn: Sequence[Prompt] | None = None,
    sampling: SamplingConfig = SAMPLING,
) -> Trainer:
    """Samples from the model."""
    learner = policy()
    return Trainer(learner, HfGeneration(learner, sampling), Rule(rule), Listed(drawn or prompts()), config)


def replaying(
    scorer: Any = None,
    config: TrainerConfig = CONFIG,
    drawn: Sequence[Prompt] | None = None,
    spare: Sequence[Prompt] = (),
    instead: Mapping[str, Sequence[Completion]] | None = None,
) -> Trainer:
    """Trains on completions that are sampled already; `instead` replaces some.

    After its first step they are no longer the policy's own, which `max_mismatch` would notice.
    """
    learner = policy()
    config = dataclasses.replace(config, max_mismatch=100.0)
    generation: Generation = Replay(learner, sampled() | dict(instead or {}))
    return Trainer(learner, generation, scorer or Rule(digits), Listed(drawn or prompts(), spare), config)


def weights(of: Trainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in of.policy.model.parameters()]


def gradient(of: Trainer) -> torch.Tensor:
    """Of the last step, clipped."""
    return torch.cat([p.grad.flatten() for p in of.policy.model.parameters() if p.grad is not None])


def same(one: Trainer, other: Trainer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))
