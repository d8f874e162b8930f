"""Rewards that failed: which are asked about again, and how many are too many to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rewardmesh.contract.errors import FailureKind
from rewardmesh.trainer_client.rollout import RewardsFailedError
from rewardmesh.trainer_client.training.group import Group

# What is wrong with these is in the data or in the mesh's configuration: the answer would be the same again.
_FINAL: frozenset[FailureKind] = frozenset(
    ["invalid_rollout", "invalid_reference", "space_undeclared", "unclassified", "unknown_reward", "too_large"]
)


def worth_retrying(kind: FailureKind) -> bool:
    """Whether asking again may be answered by a score."""
    return kind not in _FINAL


def check_failures(groups: Sequence[Group], max_rate: float) -> None:
    """Refuses to train where too many rewards failed.

    Args:
        groups: Settled groups of one step.
        max_rate: The largest share of rollouts that may have failed.

    Raises:
        RewardsFailedError: More failed, or all of some task: the mixture would no longer be the one that was asked for.
            Says how many failed, of what task and how, with an example.
    """
    asked: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    example = ""
    for group in groups:
        task = group.draw.prompt.task
        asked[task] += len(group.verdicts)
        for verdict in group.verdicts.values():
            if verdict.failure is not None:
                failed[task] += 1
                kinds[task, verdict.failure.kind] += 1
                example = example or f"{verdict.id}: {verdict.failure.message}"
    total, lost = asked.total(), failed.total()
    silent = [task for task in asked if asked[task] and failed[task] == asked[task]]
    if not silent and lost <= max_rate * total:
        return
    reason = f"every reward of task {silent[0]!r}" if silent else f"more than {max_rate:.0%}"
    listed = ", ".join(f"{task} {kind} {count}x" for (task, kind), count in sorted(kinds.items()))
    raise RewardsFailedError(
        f"{lost} of {total} rewards failed, {reason}: {listed}; the first: {example}. Nothing was learnt from this step"
    )
