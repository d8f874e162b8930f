"""Pictures of several seeds: the mean as a line, the range as a band."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewardmesh.trainer_client.experiments.arm import Run
from rewardmesh.trainer_client.interference.history import Curve
from rewardmesh.trainer_client.interference.measures import smooth

_SMOOTHING = 10
_DPI = 110


def training(curves: Mapping[str, Mapping[str, Sequence[Curve]]], tasks: Sequence[str]) -> bytes:
    """The reward of the sampled rollouts, a picture per task, over the task's rollouts.

    Args:
        curves: By name and task, a curve of each seed.
        tasks: In order.
    """

    def draw(axes: Axes, task: str) -> None:
        for number, (name, by_task) in enumerate(curves.items()):
            if all(curve.values for curve in by_task[task]):
                length = min(len(curve.values) for curve in by_task[task])
                lines = [smooth(curve.values[:length], _SMOOTHING) for curve in by_task[task]]
                _band(axes, by_task[task][0].rollouts[:length], lines, number, name)
        axes.set_xlabel(f"rollouts of {task}")
        axes.set_ylabel("sampled reward")

    return _panels(tasks, draw)


def evaluations(runs: Mapping[str, Mapping[str, Sequence[Run]]], tasks: Sequence[str]) -> bytes:
    """The reward of greedy answers to held-out prompts, a picture per task, over the steps.

    Args:
        runs: By name and task, a run of each seed.
        tasks: In order.
    """

    def draw(axes: Axes, task: str) -> None:
        for number, (name, by_task) in enumerate(runs.items()):
            steps = sorted(by_task[task][0].held_out)
            lines = [[fmean(run.held_out[step][task]) for step in steps] for run in by_task[task]]
            _band(axes, steps, lines, number, name, marker="o")
        axes.set_xlabel("step")
        axes.set_ylabel("held-out reward, greedy")

    return _panels(tasks, draw)


def _band(
    axes: Axes, x: Sequence[float], lines: Sequence[Sequence[float]], number: int, name: str, **style: Any
) -> None:
    columns = list(zip(*lines, strict=True))
    colour = f"C{number}"
    axes.plot(x, [fmean(column) for column in columns], color=colour, label=name, **style)
    axes.fill_between(x, [min(c) for c in columns], [max(c) for c in columns], color=colour, alpha=0.2, linewidth=0)


def _panels(tasks: Sequence[str], draw: Callable[[Axes, str], None]) -> bytes:
    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.5), dpi=_DPI, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, task in zip(grid, tasks, strict=False):
        draw(axes, task)
        axes.set_title(task, fontsize=10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(tasks) :]:
        axes.set_visible(False)
    handles: dict[str, Any] = {}
    for axes in grid:
        handles |= {label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=6, fontsize=9, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
