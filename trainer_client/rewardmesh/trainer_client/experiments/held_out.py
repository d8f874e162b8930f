"""The reward of greedy answers to prompts that were never trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rewardmesh.trainer_client.policy.generation import greedy
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.rollout import Prompt, RewardsFailedError, Scorer, reward, score

# Prompts per batch: keeps memory small whatever the size of the held-out set.
_BATCH = 64


def greedy_rewards(policy: Policy, prompts: Sequence[Prompt], scorer: Scorer, max_tokens: int) -> dict[str, float]:
    """The reward of each prompt's greedy answer, by prompt id.

    Raises:
        RewardsFailedError: A reward failed: a mean over the rest would compare different prompts.
    """
    found: dict[str, float] = {}
    for start in range(0, len(prompts), _BATCH):
        part = prompts[start : start + _BATCH]
        answers = greedy(policy, [policy.encode(prompt) for prompt in part], max_tokens)
        rollouts = [part[a.prompt].rollout(a.text, truncated=a.truncated) for a in answers]
        for prompt, rollout, verdict in zip(part, rollouts, score(scorer, rollouts), strict=True):
            value = reward(rollout, verdict)
            if value is None:
                raise RewardsFailedError(f"cannot evaluate: rollout {verdict.id} was not judged: {verdict.failure}")
            found[prompt.id] = value
    return found


def by_task(prompts: Sequence[Prompt], rewards: Mapping[str, float]) -> dict[str, list[float]]:
    """The rewards of each task's prompts, in the order of the prompts."""
    found: dict[str, list[float]] = {}
    for prompt in prompts:
        found.setdefault(prompt.task, []).append(rewards[prompt.id])
    return found
