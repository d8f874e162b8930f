"""The math reward against plain math-verify: CPU per verdict and agreement with the labels of a corpus.

    python -m tests.bench.math --corpus FILE [--sample N] [--disagreements FILE]

The corpus has a line `{"group", "source", "reference", "completion", "label"}` for each completion; a label is true,
false or null. The two sides take turns of some groups, each alone in a process that starts with cold caches and keeps
them as a worker does. A group is one batch; ours shares its cost evenly among its rows. All times are CPU times, all
ratios math-verify's over ours. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.sides import Judged, Side

_SEED = 0
# Rows left out of cpu_ratio_without_worst_1_percent: those that cost math-verify most.
_WORST = 0.01
# Rows a side judges before it is the other's turn: as in a worker under load, the processor then knows its code.
_TURN = 64


class Row(NamedTuple):
    """A line of the corpus and what both sides say of it."""

    line: dict[str, Any]
    ours: Judged
    theirs: Judged


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.math", description="Math reward against math-verify.")
    parser.add_argument("--corpus", type=Path, required=True, help="JSON lines; see this module's docstring")
    parser.add_argument("--sample", type=int, help="about this many rows, in whole groups (seed 0); default: all")
    parser.add_argument(
        "--disagreements", type=Path, default=Path(tempfile.gettempdir()) / "math_disagreements.jsonl", help="where to"
    )
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.corpus.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = _judge(_sample(_groups(lines), options.sample))
    differing = [row for row in rows if row.ours.right != row.theirs.right]
    with options.disagreements.open("w", encoding="utf-8") as file:
        for row in differing:
            file.write(json.dumps(_disagreement(row), ensure_ascii=False) + "\n")
    report = _figures(rows) | {
        "rows": len(rows),
        "groups": len({row.line["group"] for row in rows}),
        "disagreements": len(differing),
        "by_source": {
            source: _figures([row for row in rows if row.line["source"] == source])
            for source in sorted({row.line["source"] for row in rows})
        },
    }
    print(f"{len(differing)} of {len(rows)} verdicts differ: {options.disagreements}")
    for side in ("ours", "theirs"):
        times = sorted(getattr(row, side).cpu * 1000 for row in rows)
        p50, p99 = _at(times, 0.5), _at(times, 0.99)
        print(f"{side:7}{sum(times) / 1000:9.2f} s CPU, in ms: p50 {p50:.3f}, p99 {p99:.2f}, max {times[-1]:.1f}")
    print(json.dumps(report))


def _groups(lines: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(line["group"], []).append(line)
    return list(groups.values())


def _sample(groups: list[list[dict[str, Any]]], rows: int | None) -> list[list[dict[str, Any]]]:
    if rows is None:
        return groups
    random.Random(_SEED).shuffle(groups)
    taken = 0
    for count, group in enumerate(groups):
        if taken >= rows:
            return groups[:count]
        taken += len(group)
    return groups


def _judge(groups: Sequence[Sequence[dict[str, Any]]]) -> list[Row]:
    sides = {"ours": Side(ours=True), "theirs": Side(ours=False)}
    rows: list[Row] = []
    for count, turn in enumerate(_turns(groups)):
        found: dict[str, list[Judged]] = {}
        for name in ("ours", "theirs") if count % 2 else ("theirs", "ours"):
            batches = [[(line["reference"], line["completion"]) for line in group] for group in turn]
            found[name] = [judged for batch in sides[name].judge(batches) for judged in batch]
        lines = [line for group in turn for line in group]
        rows += (Row(*row) for row in zip(lines, found["ours"], found["theirs"], strict=True))
    for side in sides.values():
        side.close()
    return rows


def _turns(groups: Sequence[Sequence[dict[str, Any]]]) -> Iterator[list[Sequence[dict[str, Any]]]]:
    """Groups taken together: about `_TURN` rows."""
    turn: list[Sequence[dict[str, Any]]] = []
    for group in groups:
        turn.append(group)
        if sum(map(len, turn)) >= _TURN:
            yield turn
            turn = []
    if turn:
        yield turn


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    ours, theirs = (sorted(getattr(row, side).cpu for row in rows) for side in ("ours", "theirs"))
    usual = sorted(rows, key=lambda row: row.theirs.cpu)[: len(rows) - round(_WORST * len(rows))]
    labelled = [row for row in rows if row.line["label"] is not None]
    return {
        "rows": len(rows),
        "cpu_ratio": _ratio(sum(theirs), sum(ours)),
        "cpu_ratio_without_worst_1_percent": _ratio(
            sum(row.theirs.cpu for row in usual), sum(row.ours.cpu for row in usual)
        ),
        "p50_ratio": _ratio(_at(theirs, 0.5), _at(ours, 0.5)),
        "p99_ratio": _ratio(_at(theirs, 0.99), _at(ours, 0.99)),
        "max_cpu_s": round(ours[-1], 4),
        "max_cpu_s_math_verify": round(theirs[-1], 4),
        "agreement": _agreement(labelled, lambda row: row.ours),
        "agreement_math_verify": _agreement(labelled, lambda row: row.theirs),
        "failures": sum(row.ours.right is None for row in rows),
    }


def _agreement(rows: Sequence[Row], side: Callable[[Row], Judged]) -> float | None:
    return round(sum(side(row).right == row.line["label"] for row in rows) / len(rows), 4) if rows else None


def _at(ordered: Sequence[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


def _ratio(theirs: float, ours: float) -> float:
    return round(theirs / ours, 2)


def _disagreement(row: Row) -> dict[str, Any]:
    kept = {key: row.line[key] for key in ("group", "source", "reference", "label")}
    said = {"ours": row.ours.right, "reason": row.ours.reason}
    said |= {"math_verify": row.theirs.right, "read": row.theirs.reason}
    return kept | said | {"completion": row.line["completion"][-2000:]}


if __name__ == "__main__":
    main()
