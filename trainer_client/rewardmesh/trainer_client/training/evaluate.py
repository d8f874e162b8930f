"""Mean reward on held-out prompts, and whether it really moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.generation import HfGeneration, greedy
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.rollout import Prompt, RewardsFailedError, Scorer, reward, score

# Prompts per batch: keeps the sampler's memory small whatever the size of the held-out set.
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Change:
    """A task's mean reward before and after training, on the same prompts.

    Attributes:
        before: Mean reward.
        before_error: Its standard error, over prompts.
        after: Mean reward.
        after_error: Its standard error.
        difference_error: Standard error of `after - before`, prompt by prompt: prompts that are hard before are hard
            after, so it is smaller than the two errors combined.
    """

    before: float
    before_error: float
    after: float
    after_error: float
    difference_error: float

    @property
    def sigmas(self) -> float:
        """The difference in standard errors; 0 when nothing moved at all."""
        difference = self.after - self.before
        return difference / self.difference_error if self.difference_error else 0.0


def evaluate(
    policy: Policy, prompts: Sequence[Prompt], scorer: Scorer, sampling: SamplingConfig, seed: int
) -> dict[str, float]:
    """Each prompt's mean reward over `sampling.group_size` sampled completions, by prompt id.

    Raises:
        RewardsFailedError: A reward failed: a mean over the rest would compare different prompts.
    """
    generation = HfGeneration(policy, sampling)
    return _judged(
        prompts, scorer, _BATCH, lambda part, start: generation.generate(part, seed + start, lambda ended: None)
    )


def evaluate_greedy(policy: Policy, prompts: Sequence[Prompt], scorer: Scorer, max_tokens: int) -> dict[str, float]:
    """The reward of each prompt's greedy answer, by prompt id.

    Raises:
        RewardsFailedError: A reward failed.
    """

    def complete(part: Sequence[Prompt], _: int) -> Sequence[Completion]:
        return greedy(policy, [policy.encode(prompt) for prompt in part], max_tokens)

    return _judged(prompts, scorer, 4 * _BATCH, complete)


def _judged(
    prompts: Sequence[Prompt],
    scorer: Scorer,
    batch: int,
    complete: Callable[[Sequence[Prompt], int], Sequence[Completion]],
) -> dict[str, float]:
    """Each prompt's mean reward over its completions, by prompt id; `complete` is told the first one's place."""
    means: dict[str, float] = {}
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        completions = complete(part, start)
        rollouts = [part[c.prompt].rollout(c.text, c.number, truncated=c.truncated) for c in completions]
        values: list[list[float]] = [[] for _ in part]
        for completion, rollout, verdict in zip(completions, rollouts, score(scorer, rollouts), strict=True):
            value = reward(rollout, verdict)
            if value is None:
                raise RewardsFailedError(f"cannot evaluate: rollout {verdict.id} was not judged: {verdict.failure}")
            values[completion.prompt].append(value)
        means.update((prompt.id, fmean(rewards)) for prompt, rewards in zip(part, values, strict=True))
    return means


def compare(prompts: Sequence[Prompt], before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Change]:
    """The change of each task, from two evaluations of the same prompts: at least two per task."""
    changes: dict[str, Change] = {}
    for task in dict.fromkeys(p.task for p in prompts):
        ids = [p.id for p in prompts if p.task == task]
        old, new = [before[i] for i in ids], [after[i] for i in ids]
        differences = [b - a for a, b in zip(old, new, strict=True)]
        changes[task] = Change(fmean(old), _error(old), fmean(new), _error(new), _error(differences))
    return changes


def _error(values: Sequence[float]) -> float:
    return stdev(values) / len(values) ** 0.5
