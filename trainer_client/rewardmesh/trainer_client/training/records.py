"""A step's rollouts as the logs keep them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.group import Group


def records(step: int, groups: Sequence[Group]) -> list[RolloutRecord]:
    """One record per completion, in the order in which they were drawn."""
    return [record for place, group in enumerate(groups) for record in _of_group(step, f"{step}/{place}", group)]


def _of_group(step: int, name: str, group: Group) -> Iterator[RolloutRecord]:
    advantages = [None] * len(group.completions) if group.advantages is None else group.advantages.tolist()
    for completion, advantage in zip(group.completions, advantages, strict=True):
        verdict = group.verdicts[completion.number]
        score, failure = verdict.score, verdict.failure
        yield RolloutRecord(
            step=step,
            prompt=group.draw.prompt.id,
            group=name,
            task=group.draw.prompt.task,
            source=group.draw.source,
            text=completion.text,
            value=score.value if score else None,
            components=score.components if score else {},
            reason=score.reason if score else None,
            failure=failure.kind if failure else None,
            reward=verdict.reward,
            version=verdict.version,
            advantage=None if failure else advantage,
            tokens=len(completion.tokens),
            truncated=completion.truncated,
            policy_version=completion.policy_version,
        )
