"""What a run did to each task, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeAlias

from rewardmesh.trainer_client.interference.cosine import corrected
from rewardmesh.trainer_client.interference.history import History
from rewardmesh.trainer_client.interference.trend import Estimate, difference, mean, slope

Report: TypeAlias = Mapping[str, Any]
WINDOW = 20


@dataclass(frozen=True, slots=True)
class TaskMeasures:
    """One task's run. "First" and "last" are means over a window of steps.

    Attributes:
        task: Its name.
        steps: Steps in which it was sampled and judged.
        first: Its reward.
        last: Its reward.
        change: Last less first.
        length_first: Tokens per completion.
        length_last: The same.
        length_slope: Tokens per step, over the whole run.
        truncated: Share of the last completions.
        entropy_first: Nats per token.
        entropy_last: The same.
        zero_spread: Share of the last groups.
        token_share: Its share of the last steps' tokens.
        failures: Rollouts of the whole run that could not be judged.
        gradient_norm: Mean where it was measured.
        halves: Mean cosine of the halves of its gradient. Near 0: what was measured is noise.
        gap: Its reward less that of the run on it alone, at as many rollouts of the task; None without such a run.
    """

    task: str
    steps: int
    first: Estimate | None
    last: Estimate | None
    change: Estimate | None
    length_first: Estimate | None
    length_last: Estimate | None
    length_slope: Estimate | None
    truncated: Estimate | None
    entropy_first: Estimate | None
    entropy_last: Estimate | None
    zero_spread: Estimate | None
    token_share: Estimate | None
    failures: int
    gradient_norm: Estimate | None
    halves: Estimate | None
    gap: Estimate | None


def task_measures(
    history: History, standalone: Mapping[str, History] | None = None, window: int = WINDOW
) -> list[TaskMeasures]:
    """Measures each task of a run.

    Args:
        history: The run.
        standalone: By task, a run on it alone.
        window: Steps at the start and at the end that are averaged; fewer where the run is shorter than two windows.
    """
    return [_measure(history, task, (standalone or {}).get(task), window) for task in history.tasks]


def gap(mixed: History, alone: History, task: str, window: int) -> Estimate | None:
    """The task's reward in a mixed run less that of a run on it alone, after as many rollouts of the task.

    A mixed run has fewer of a task's rollouts per step: at equal steps it would look worse for having seen less.
    """
    ours, theirs = mixed.curve(task, "reward"), alone.curve(task, "reward")
    if not ours.rollouts or not theirs.rollouts:
        return None
    seen = min(ours.rollouts[-1], theirs.rollouts[-1])
    return difference(*(mean(curve.within(seen).last(window).values) for curve in (ours, theirs)))


def mean_cosines(reports: Sequence[Report]) -> dict[str, dict[str, Estimate | None]]:
    """The cosine of each two tasks' gradients, averaged over the steps at which it was measured.

    Args:
        reports: `GradientReport` as JSON; of several runs, too.
    """
    tasks = list(dict.fromkeys(task for report in reports for task in report["norms"]))
    return {a: {b: mean(_reported(reports, "cosines", a, b)) for b in tasks} for a in tasks}


def corrected_cosines(reports: Sequence[Report]) -> dict[str, dict[str, float | None]]:
    """The same with the noise taken out, from the averages: single steps are too noisy to correct one by one.

    None, too, for a task whose halves' cosine cannot be told from 0.
    """
    cosines = mean_cosines(reports)
    estimates = {task: mean_halves(reports, task) for task in cosines}
    halves = {task: halves.value for task, halves in estimates.items() if halves is not None and halves.above(0.0)}
    return {
        a: {
            b: cosine and (cosine.value if a == b else corrected(cosine.value, halves.get(a), halves.get(b)))
            for b, cosine in row.items()
        }
        for a, row in cosines.items()
    }


def mean_halves(reports: Sequence[Report], task: str) -> Estimate | None:
    """How well the halves of a task's gradient agree, on average."""
    return mean(_reported(reports, "halves", task))


def _reported(reports: Sequence[Report], *path: str) -> list[float]:
    found: list[float] = []
    for report in reports:
        value: Any = report
        for name in path:
            value = (value or {}).get(name)
        if isinstance(value, float):
            found.append(value)
    return found


def _measure(history: History, task: str, alone: History | None, window: int) -> TaskMeasures:
    width = max(1, min(window, len(history.curve(task, "length").values) // 2))
    first = {name: mean(history.curve(task, name).first(width).values) for name in ("reward", "length", "entropy")}
    last = {
        name: mean(history.curve(task, name).last(width).values)
        for name in ("reward", "length", "entropy", "truncated", "zero_spread", "token_share")
    }
    length = history.curve(task, "length")
    return TaskMeasures(
        task=task,
        steps=len(history.curve(task, "reward").values),
        first=first["reward"],
        last=last["reward"],
        change=difference(last["reward"], first["reward"]),
        length_first=first["length"],
        length_last=last["length"],
        length_slope=slope(length.steps, length.values),
        truncated=last["truncated"],
        entropy_first=first["entropy"],
        entropy_last=last["entropy"],
        zero_spread=last["zero_spread"],
        token_share=last["token_share"],
        failures=history.failures[task],
        gradient_norm=mean(history.curve(task, "gradient_norm").values),
        halves=mean_halves(list(history.gradients.values()), task),
        gap=None if alone is None else gap(history, alone, task, width),
    )


def smooth(values: list[float], window: int) -> list[float]:
    """Each value's mean with the up to `window - 1` before it: what a curve looks like without its noise."""
    return [fmean(values[max(0, end - window) : end]) for end in range(1, len(values) + 1)]
