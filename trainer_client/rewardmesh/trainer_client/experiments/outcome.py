"""What an experiment found, and its files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from rewardmesh.trainer_client.experiments.arm import Run
from rewardmesh.trainer_client.experiments.compare import Interval
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.interference import page


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its title, header and rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an experiment found.

    Attributes:
        name: The experiment's.
        question: What it asked.
        size: How large it was.
        arms: The runs, by arm.
        differences: Named comparisons, by task.
        tables: For people.
        reading: What the numbers allow to say.
        pictures: PNG files, by name without ending.
        seconds: Wall time of all of it.
    """

    name: str
    question: str
    size: Size
    arms: Mapping[str, Sequence[Run]]
    differences: Mapping[str, Mapping[str, Interval]]
    tables: Sequence[Table]
    reading: Sequence[str]
    pictures: Mapping[str, bytes]
    seconds: float
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


def write(outcome: Outcome, out: Path) -> None:
    """Writes `result.json`, `result.md`, `result.html` and the pictures to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for name, png in outcome.pictures.items():
        (out / f"{name}.png").write_bytes(png)
    (out / "result.json").write_text(json.dumps(_json(outcome), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "result.md").write_text(_markdown(outcome), encoding="utf-8")
    parts = [page.paragraph(outcome.question), page.heading("Reading"), *map(page.paragraph, outcome.reading)]
    for table in outcome.tables:
        parts += [page.heading(table.title), page.table(table.header, table.rows)]
    parts += [page.heading("Curves"), page.paragraph("Lines are means over the seeds, bands their range.", "note")]
    parts += [page.plots([(name, png)]) for name, png in outcome.pictures.items()]
    (out / "result.html").write_text(page.page(outcome.name, parts), encoding="utf-8")


def _json(outcome: Outcome) -> dict[str, Any]:
    return {
        "experiment": outcome.name,
        "size": dataclasses.asdict(outcome.size),
        "seconds": round(outcome.seconds, 1),
        "held_out": {
            arm: [
                {
                    "seed": run.seed,
                    "steps": {
                        step: {task: fmean(rewards) for task, rewards in found.items()}
                        for step, found in run.held_out.items()
                    },
                }
                for run in runs
            ]
            for arm, runs in outcome.arms.items()
        },
        "differences": {
            name: {task: dataclasses.asdict(interval) for task, interval in found.items()}
            for name, found in outcome.differences.items()
        },
        "reading": list(outcome.reading),
        **outcome.more,
    }


def _markdown(outcome: Outcome) -> str:
    lines = [f"# {outcome.name}", "", outcome.question, "", *(f"- {line}" for line in outcome.reading), ""]
    for table in outcome.tables:
        lines += [f"## {table.title}", "", _row(table.header), _row(["---"] * len(table.header))]
        lines += [*map(_row, table.rows), ""]
    lines += [f"![{name}]({name}.png)\n" for name in outcome.pictures]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
