"""Which of two ways to train earned more, and whether that is more than noise. Pure functions of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

# Student's t, 97.5 %, by degrees of freedom from 1; beyond the table it is within 2 % of the last.
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
Rewards = Mapping[str, Sequence[float]]
"""By task, the reward of each held-out prompt, in order."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference, and where it lies with 95 % confidence.

    Attributes:
        value: The difference.
        low: The interval's lower end.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    @property
    def told(self) -> int:
        """1: it is above 0 beyond noise; -1: below; 0: it cannot be told from 0."""
        return (self.low > 0) - (self.high < 0)

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def compare(ours: Sequence[Rewards], theirs: Sequence[Rewards]) -> dict[str, Interval]:
    """How much more `ours` earned than `theirs`, by task, prompt by prompt and seed by seed.

    Two sources of noise are counted: the seeds' (the spread of a task's differences, taken to be alike for all tasks,
    so that few seeds tell it) and the choice of held-out prompts.

    Args:
        ours: The rewards of one way to train, a seed each; at least 2.
        theirs: Those of the other, for the same seeds and prompts.

    Raises:
        ValueError: There are fewer than 2 seeds, or not as many of both.
    """
    if len(ours) < 2 or len(ours) != len(theirs):
        raise ValueError(f"noise takes at least 2 seeds of both to tell, got {len(ours)} and {len(theirs)}")
    tasks = [task for task in ours[0] if task in theirs[0]]
    moved = {
        task: [
            [a - b for a, b in zip(one[task], two[task], strict=True)] for one, two in zip(ours, theirs, strict=True)
        ]
        for task in tasks
    }
    by_seed = {task: [fmean(prompts) for prompts in seeds] for task, seeds in moved.items()}
    between = fmean(variance(means) for means in by_seed.values()) / len(ours)
    freedom = len(tasks) * (len(ours) - 1)
    t = _STUDENT[min(freedom, len(_STUDENT)) - 1]
    found: dict[str, Interval] = {}
    for task in tasks:
        prompts = [fmean(each) for each in zip(*moved[task], strict=True)]
        within = variance(prompts) / len(prompts) if len(prompts) > 1 else 0.0
        value, reach = fmean(prompts), t * (between + within) ** 0.5
        found[task] = Interval(value, value - reach, value + reach)
    return found
