"""The report's pictures, as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewardmesh.trainer_client.interference.alarms import Alarm
from rewardmesh.trainer_client.interference.history import History
from rewardmesh.trainer_client.interference.measures import smooth

_SMOOTHING = 10
_SIZE = (6.4, 3.4)
_DPI = 110


def curves(history: History, name: str, label: str, alarms: Sequence[Alarm] = ()) -> bytes:
    """One measure of all tasks over the steps: as it was, faintly, and smoothed. Warnings are dotted lines."""

    def draw(axes: Axes) -> None:
        for number, task in enumerate(history.tasks):
            curve = history.curve(task, name)
            axes.plot(curve.steps, curve.values, color=f"C{number}", alpha=0.25, linewidth=0.8)
            axes.plot(curve.steps, smooth(curve.values, _SMOOTHING), color=f"C{number}", label=_plain(task))
        for alarm in alarms:
            axes.axvline(alarm.step, color=f"C{history.tasks.index(alarm.task)}", linestyle=":", linewidth=1.2)
        axes.set_xlabel("step")
        axes.set_ylabel(label)

    return _png(draw)


def against_alone(mixed: History, alone: Mapping[str, History]) -> bytes:
    """Each task's reward in the mixed run and in a run on it alone, over the task's own rollouts."""

    def draw(axes: Axes) -> None:
        for number, task in enumerate(mixed.tasks):
            for history, style in ((mixed, "-"), (alone.get(task), "--")):
                if history is not None:
                    curve = history.curve(task, "reward")
                    name = _plain(task) if style == "-" else f"{_plain(task)}, alone"
                    smoothed = smooth(curve.values, _SMOOTHING)
                    axes.plot(curve.rollouts, smoothed, style, color=f"C{number}", label=name)
        axes.set_xlabel("rollouts of the task")
        axes.set_ylabel("reward")

    return _png(draw)


def heat_map(cells: Mapping[str, Mapping[str, float | None]], title: str) -> bytes:
    """Cosines of each two tasks, with their numbers; what could not be said is left grey."""
    tasks = list(cells)
    figure = Figure(figsize=(1.6 + 0.8 * len(tasks), 1.4 + 0.65 * len(tasks)), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    grid = [[float("nan") if (value := cells[a].get(b)) is None else value for b in tasks] for a in tasks]
    axes.set_facecolor("0.85")
    shown = axes.imshow(grid, vmin=-1.0, vmax=1.0, cmap="RdBu")
    for i, a in enumerate(tasks):
        for j, b in enumerate(tasks):
            value = cells[a].get(b)
            dark = value is not None and abs(value) > 0.6
            text = "?" if value is None else f"{value:+.2f}"
            axes.text(j, i, text, ha="center", va="center", color="white" if dark else "black")
    names = [_plain(task) for task in tasks]
    axes.set_xticks(range(len(tasks)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(tasks)), names)
    axes.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes, shrink=0.8)
    return _bytes(figure)


def _png(draw: Callable[[Axes], None]) -> bytes:
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return _bytes(figure)


def _bytes(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _plain(name: str) -> str:
    """A task's name, without matplotlib's own meaning of dollars and of a leading underscore."""
    return name.replace("$", r"\$").lstrip("_") or name
