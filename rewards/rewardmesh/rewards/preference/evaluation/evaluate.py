"""How often a checkpoint is right on a benchmark, by subset, with the interval that the number of trials leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.evaluation.benchmark import Trial, points
from rewardmesh.rewards.preference.evaluation.scoring import score

_Z = 1.959964  # 95 % of a normal distribution lie within so many deviations
ALL = "(all)"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of one subset.

    Attributes:
        subset: Its name; `ALL` for all trials.
        trials: How many.
        right: Points, ties counted by halves (or as many wrong ones are tied with a right one).
        ties: How many trials were decided by that.
        unread: Trials with a completion that is longer than the model reads; it counts as the worst.
        cut: Trials whose prompt lost its beginning.
    """

    subset: str
    trials: int
    right: float
    ties: int
    unread: int
    cut: int

    @property
    def share(self) -> float:
        """Accuracy, in [0, 1]."""
        return self.right / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of `share`."""
        return wilson(self.right, self.trials)


def evaluate(checkpoint: Checkpoint, trials: Sequence[Trial]) -> list[Accuracy]:
    """By subset, sorted, where there is more than one; all of them last.

    Raises:
        DataError: A prompt or an image cannot be read; the message names the line.
        OSError: A file cannot be read.
    """
    rows: list[tuple[str, float, bool, bool, bool]] = []
    for trial, found in zip(trials, score(checkpoint, [t.question for t in trials], "evaluating"), strict=True):
        right, tie = points(trial, [each.raw for each in found])
        unread = any(each.raw is None for each in found)
        rows.append((trial.subset, right, tie, unread, any(each.cut for each in found if each.raw is not None)))
    names = sorted({row[0] for row in rows})
    subsets = [_sum(name, [row for row in rows if row[0] == name]) for name in names] if len(names) > 1 else []
    return [*subsets, _sum(ALL, rows)]


def _sum(name: str, rows: Iterable[tuple[str, float, bool, bool, bool]]) -> Accuracy:
    _, right, ties, unread, cut = zip(*rows, strict=True)
    return Accuracy(name, len(right), sum(right), sum(ties), sum(unread), sum(cut))


def wilson(right: float, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a share at 95 % (JASA 22, 1927), which stays in [0, 1] even for few trials.

    Args:
        right: Successes, 0 to `trials`.
        trials: At least 1.
    """
    share = right / trials
    centre = share + _Z**2 / (2 * trials)
    spread = _Z * math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    scale = 1 + _Z**2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
