"""Asks a reward for outcomes and makes sure that there is exactly one per rollout, whatever the reward does."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from rewardmesh.contract.errors import LimitError, UnavailableError
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Outcome, Score
from rewardmesh.rewards.base import Outcomes, Reward

# What an author's code may raise: everything but the interpreter's own signals (Ctrl-C, a cancelled task).
AUTHORS_ERRORS = (Exception, SystemExit)


async def judge(reward: Reward, rollouts: Sequence[Rollout]) -> list[Outcome]:
    """Scores on the running event loop; for rewards whose `score` is `async def` or takes microseconds."""
    try:
        answer = reward.score(rollouts)
        return _checked(await answer if inspect.isawaitable(answer) else answer, len(rollouts))
    except AUTHORS_ERRORS as error:
        if _says_it_all(error, rollouts):
            return [_failure(error)] * len(rollouts)
    return [(await judge(reward, [rollout]))[0] for rollout in rollouts]


def judge_blocking(reward: Reward, rollouts: Sequence[Rollout]) -> list[Outcome]:
    """Scores in the calling thread; for rewards whose `score` is a plain function."""
    try:
        answer: Any = reward.score(rollouts)  # outcomes, and nothing to wait for
        return _checked(answer, len(rollouts))
    except AUTHORS_ERRORS as error:
        if _says_it_all(error, rollouts):
            return [_failure(error)] * len(rollouts)
    return [judge_blocking(reward, [rollout])[0] for rollout in rollouts]


def _says_it_all(error: BaseException, rollouts: Sequence[Rollout]) -> bool:
    """Whether scoring singly would tell nothing new: one rollout cannot be split, and no model is no model."""
    return len(rollouts) == 1 or isinstance(error, UnavailableError)


def _checked(outcomes: Outcomes, expected: int) -> list[Outcome]:
    if len(outcomes) != expected:
        raise ValueError(f"the reward returned {len(outcomes)} outcomes for {expected} rollouts")
    return [outcome if isinstance(outcome, Score) else _outcome(outcome) for outcome in outcomes]


def _outcome(outcome: object) -> Outcome:
    if isinstance(outcome, Failure):
        return outcome
    if isinstance(outcome, Exception):
        return _failure(outcome)
    return Failure("reward_error", f"the reward returned {type(outcome).__name__}, expected a Score or a Failure")


def _failure(error: BaseException) -> Failure:
    if isinstance(error, MemoryError):
        error = LimitError("needs more memory than it may have")
    elif isinstance(error, RecursionError):
        error = LimitError("nests deeper than the interpreter's stack")
    return Failure.from_error(error)
