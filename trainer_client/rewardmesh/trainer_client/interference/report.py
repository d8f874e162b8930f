"""The report of a run: one HTML file, and the same numbers as JSON lines beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.interference import page, plots
from rewardmesh.trainer_client.interference.alarms import Alarm, Alarms, Thresholds
from rewardmesh.trainer_client.interference.history import History
from rewardmesh.trainer_client.interference.measures import (
    WINDOW,
    TaskMeasures,
    corrected_cosines,
    mean_cosines,
    task_measures,
)
from rewardmesh.trainer_client.interference.trend import Estimate
from rewardmesh.trainer_client.logs.jsonl import read_steps
from rewardmesh.trainer_client.logs.lines import write_lines
from rewardmesh.trainer_client.logs.plain import plain

_CURVES = {
    "reward": "reward",
    "length": "tokens per completion",
    "entropy": "entropy, nats per token",
    "zero_spread": "groups without spread",
    "token_share": "share of the tokens",
    "truncated": "truncated completions",
    "gradient_norm": "gradient norm",
}


class EmptyRunError(ValueError):
    """There is nothing to report on."""


def write_report(
    metrics: Path,
    out: Path,
    standalone: Mapping[str, Path] | None = None,
    thresholds: Thresholds | None = None,
    window: int = WINDOW,
) -> list[Alarm]:
    """Writes `out` (HTML) and, beside it, the same as JSON lines.

    Args:
        metrics: What the run's `JsonlLog` wrote.
        out: The HTML file; the JSON lines go to a file of the same name with the ending ".jsonl".
        standalone: By task, the metrics of a run on it alone.
        thresholds: When a warning is due.
        window: Steps that the table's first and last numbers are averaged over.

    Returns:
        The run's warnings.

    Raises:
        EmptyRunError: A file has no steps, or a run alone has none of its task.
        ValueError: The JSON lines would replace the run's own metrics.
    """
    lines = out.with_suffix(".jsonl")
    if lines.resolve() == metrics.resolve():
        raise ValueError(f"{out} would put its JSON lines in the place of {metrics}: choose another name")
    history, alarms = replay(metrics, thresholds)
    alone = {task: History(read_steps(path)) for task, path in (standalone or {}).items()}
    for task, run in alone.items():
        if task not in run.tasks or task not in history.tasks:
            raise EmptyRunError(f"{task!r} is not trained in both runs: {history.tasks} and {run.tasks}")
    if not history.tasks:
        raise EmptyRunError(f"{metrics} has no steps")
    measures = task_measures(history, alone, window)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_lines(lines, _rows(history, measures, alarms))
    part = out.with_suffix(".part")
    part.write_text(_html(history, measures, alarms, alone), encoding="utf-8", errors="replace")
    part.replace(out)
    return alarms


def replay(metrics: Path, thresholds: Thresholds | None = None) -> tuple[History, list[Alarm]]:
    """A run, and its warnings as they arose."""
    history, alarms = History(), Alarms(thresholds)
    for row in read_steps(metrics):
        history.add(row)
        list(alarms.check(history))
    return history, alarms.raised


def _rows(history: History, measures: list[TaskMeasures], alarms: list[Alarm]) -> Iterator[dict[str, Any]]:
    for measured in measures:
        yield {"kind": "task", **plain(measured)}
    reports = list(history.gradients.values())
    for a, row in mean_cosines(reports).items():
        clean = corrected_cosines(reports)[a]
        for b, cosine in row.items():
            yield {"kind": "cosine", "tasks": [a, b], "cosine": plain(cosine), "corrected": clean[b]}
    for alarm in alarms:
        yield {"kind": "alarm", "alarm": plain(alarm)}


def _html(history: History, measures: list[TaskMeasures], alarms: list[Alarm], alone: Mapping[str, History]) -> str:
    parts = [
        page.paragraph(
            f"{len(history.steps)} steps, {history.steps[0]} to {history.steps[-1]}; ± is a standard error."
        ),
        page.heading("Warnings"),
        _alarm_table(alarms),
        page.heading("Tasks"),
        _task_table(measures, bool(alone)),
        page.heading("Curves"),
        page.plots([(label, plots.curves(history, name, label, alarms)) for name, label in _drawn(history)]),
    ]
    if alone:
        parts += [
            page.heading("Against runs on one task"),
            page.plots([("reward", plots.against_alone(history, alone))]),
        ]
    reports = list(history.gradients.values())
    if reports:
        cosines = {a: {b: c and c.value for b, c in row.items()} for a, row in mean_cosines(reports).items()}
        note = (
            f"Mean over {len(history.gradients)} steps. Gradients of few groups are mostly noise, which reads as a "
            "cosine near 0; the second picture has it taken out, by how well the halves of each task's gradient agree. "
            "A question mark: too noisy to say."
        )
        pictures = [
            ("as measured", plots.heat_map(cosines, "as measured")),
            ("without noise", plots.heat_map(corrected_cosines(reports), "without noise")),
        ]
        parts += [page.heading("Cosines of the tasks' gradients"), page.paragraph(note, "note"), page.plots(pictures)]
    return page.page("Interference between tasks", parts)


def _drawn(history: History) -> list[tuple[str, str]]:
    return [(n, label) for n, label in _CURVES.items() if any(history.curve(t, n).values for t in history.tasks)]


def _alarm_table(alarms: list[Alarm]) -> str:
    if not alarms:
        return page.paragraph("None.")
    rows = [[alarm.kind, alarm.task, f"{alarm.step} to {alarm.until}", alarm.message] for alarm in alarms]
    return page.table(["warning", "task", "steps", "what was seen when it arose"], rows, prose=(0, 1, 3))


def _task_table(measures: list[TaskMeasures], compared: bool) -> str:
    rows: dict[str, list[str]] = {
        "reward, first steps": [_shown(m.first, 3) for m in measures],
        "reward, last steps": [_shown(m.last, 3) for m in measures],
        "change": [_shown(m.change, 3, "+") for m in measures],
        "tokens per completion, first": [_shown(m.length_first, 1) for m in measures],
        "tokens per completion, last": [_shown(m.length_last, 1) for m in measures],
        "slope per 100 steps": [_shown(m.length_slope, 2, "+", 100.0) for m in measures],
        "truncated": [_share(m.truncated) for m in measures],
        "entropy, first": [_shown(m.entropy_first, 2) for m in measures],
        "entropy, last": [_shown(m.entropy_last, 2) for m in measures],
        "groups without spread": [_share(m.zero_spread) for m in measures],
        "share of the tokens": [_share(m.token_share) for m in measures],
        "failures": [str(m.failures) for m in measures],
        "gradient norm": [_shown(m.gradient_norm, 3) for m in measures],
        "cosine of the gradient's halves": [_shown(m.halves, 2, "+") for m in measures],
    }
    if compared:
        rows["gap to the run on it alone"] = [_shown(m.gap, 3, "+") for m in measures]
    return page.table(["", *(m.task for m in measures)], [[name, *cells] for name, cells in rows.items()])


def _shown(estimate: Estimate | None, places: int, sign: str = "", times: float = 1.0) -> str:
    if estimate is None:
        return "-"
    value, error = estimate.value * times, estimate.error * times
    return f"{value:{sign}.{places}f}" + (f" ± {error:.{places}f}" if estimate.samples > 1 else "")


def _share(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.0%}"
