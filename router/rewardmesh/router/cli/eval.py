"""`rewardmesh eval`: a file of rollouts, and per task and source the mean reward beside the official metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Verdict
from rewardmesh.router.cli.lines import Batch, write
from rewardmesh.router.cli.score import score_file
from rewardmesh.router.cli.tally import Tally

_HEAD = ("task", "source", "rollouts", "scored", "reward", "metrics", "failures")
_ALL = "(all)"  # the source of a row that sums up a task
_NONE = "-"


def evaluate(path: str, target: str | None, engine: str, config: str | None, as_json: bool) -> None:
    """Scores the file as `rewardmesh score` does, and writes a table, or one JSON object.

    Failures are counted by kind, and enter no mean. The metrics are those of `OFFICIAL`.

    Raises:
        OSError: The file cannot be read.
        RewardMeshError: The target cannot be reached, or the settings are wrong.
    """
    tallies: dict[tuple[str, str], Tally] = {}
    tasks: dict[str, Tally] = {}

    def take(batch: Batch, verdicts: Sequence[Verdict]) -> None:
        for item, verdict in zip(batch.items, verdicts, strict=True):
            source = item.source if isinstance(item, Rollout) else ""
            # What could not be classified says itself what it wants to be, at most.
            task = verdict.task or (item.task if isinstance(item, Rollout) else "")
            for tally in (tallies.setdefault((task, source), Tally(task)), tasks.setdefault(task, Tally(task))):
                tally.add(verdict)

    score_file(path, target, engine, config, take)
    rows = [{"task": task, "source": source} | tallies[task, source].to_json() for task, source in sorted(tallies)]
    totals = [{"task": task} | tasks[task].to_json() for task in sorted(tasks)]
    if as_json:
        write([json.dumps({"tasks": totals, "sources": rows}, ensure_ascii=False)])
    else:
        write(_table(rows, totals))


def _table(rows: Sequence[dict[str, Any]], totals: Sequence[dict[str, Any]]) -> list[str]:
    """The rows in aligned columns; a task with several sources gets another row for all of them."""
    cells: list[tuple[str, ...]] = [_HEAD]
    for total, (_, own) in zip(totals, groupby(rows, key=lambda row: row["task"]), strict=True):
        listed = list(own)
        cells += map(_cells, listed)
        if len(listed) > 1:
            cells.append(_cells({"source": _ALL} | total))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["task"] or _NONE,
        row["source"] or _NONE,
        str(row["rollouts"]),
        str(row["scored"]),
        _number(row["mean_reward"]),
        _pairs((name, _number(value)) for name, value in row["metrics"].items()),
        _pairs((kind, str(count)) for kind, count in row["failures"].items()),
    )


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs) or _NONE
