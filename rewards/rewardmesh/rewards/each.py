"""Scores rollouts one by one, so that one bad reference does not take its neighbours along."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rewardmesh.contract import RewardMeshError, Rollout, Score


def score_each(rollouts: Sequence[Rollout], judge: Callable[[Rollout], Score]) -> list[Score | Exception]:
    """One outcome per rollout, in order; an error raised on purpose is the outcome of its rollout.

    Raises:
        Exception: A defect in `judge`; the runner then looks for the guilty rollout.
    """
    outcomes: list[Score | Exception] = []
    for rollout in rollouts:
        try:
            outcomes.append(judge(rollout))
        except RewardMeshError as error:
            outcomes.append(error)
    return outcomes
