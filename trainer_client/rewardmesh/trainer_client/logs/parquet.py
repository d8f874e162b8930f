"""Rollouts as parquet files, each of so many steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rewardmesh.trainer_client.logs.lines import Lines, publish, read_lines, write_lines
from rewardmesh.trainer_client.logs.plain import number, plain
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics

PENDING = "pending.jsonl"
_COLUMNS = {
    **dict.fromkeys(("step", "tokens", "policy_version"), pa.int64()),
    **dict.fromkeys(("prompt", "group", "task", "source", "text", "reason", "failure"), pa.string()),
    **dict.fromkeys(("reward", "version"), pa.string()),
    **dict.fromkeys(("value", "advantage"), pa.float64()),
    "components": pa.map_(pa.string(), pa.float64()),
    "truncated": pa.bool_(),
}
SCHEMA = pa.schema([(field.name, _COLUMNS[field.name]) for field in dataclasses.fields(RolloutRecord)])


class ParquetLog:
    """Writes all rollouts to a folder: `rollouts-00000000.parquet` has the first steps, and so on.

    Parquet cannot grow: until a file's steps are complete they wait in `pending.jsonl`. A file appears whole, under its
    name, and only then are its pending lines dropped; where both are there, the file is right.

    Lone surrogates, which parquet's UTF-8 cannot hold, become U+FFFD. NaN becomes null.
    """

    def __init__(self, folder: Path, steps_per_file: int = 50) -> None:
        """Opens the folder, or makes it.

        Raises:
            ValueError: `steps_per_file` is below 1.
        """
        if steps_per_file < 1:
            raise ValueError(f"steps_per_file must be at least 1, got {steps_per_file}")
        self._folder = folder
        self._size = steps_per_file
        self._pending = Lines(folder / PENDING)
        self._waiting: int | None = None  # the first step of the file that the pending rows belong to
        for row in read_lines(self._pending.path):
            self._waiting = row["step"] // steps_per_file * steps_per_file
        if self._waiting is not None and _last(folder) >= read_lines(self._pending.path)[0]["step"]:
            self._drop_pending()

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """Writes a step's rollouts; a complete file's steps are then moved into it."""
        first = metrics.step // self._size * self._size
        if self._waiting != first:
            self._finish()
            self._take_up(first)
        self._pending.append(plain(rollout) for rollout in rollouts)
        if metrics.step == first + self._size - 1:
            self._finish()

    def rewind(self, step: int) -> None:
        """Drops the rollouts of `step` and all after it."""
        self._pending.cut(lambda row: row["step"] < step)
        for file in _files(self._folder):
            if _first(file) >= step:
                file.unlink()
            elif _newest(file) >= step:
                _write(file, [row for row in _rows(file) if row["step"] < step])

    def close(self) -> None:
        """Moves what is pending to its file, incomplete as it is; a later step of it is taken in again."""
        self._finish()

    def _take_up(self, first: int) -> None:
        """Begins the file of the steps from `first`, or takes its rows back from the folder."""
        file = self._file(first)
        if file.exists():
            write_lines(self._pending.path, _rows(file))
            file.unlink()
        self._waiting = first

    def _finish(self) -> None:
        if self._waiting is not None:
            if rows := read_lines(self._pending.path):
                _write(self._file(self._waiting), rows)
            self._drop_pending()

    def _drop_pending(self) -> None:
        self._pending.cut(lambda row: False)
        self._waiting = None

    def _file(self, first: int) -> Path:
        return self._folder / f"rollouts-{first:08d}.parquet"


def read_rollouts(folder: Path) -> list[RolloutRecord]:
    """All rollouts a `ParquetLog` wrote, in order, those that are pending too."""
    files = _files(folder)
    rows = [row for file in files for row in _rows(file)]
    pending = read_lines(folder / PENDING)
    done = {row["step"] for row in rows}
    rows += [row for row in pending if row["step"] not in done]
    return [RolloutRecord(**row) for row in sorted(rows, key=lambda row: row["step"])]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("rollouts-*.parquet"), key=_first)


def _last(folder: Path) -> int:
    """The newest step in a file; -1 without one."""
    return max(map(_newest, _files(folder)), default=-1)


def _newest(file: Path) -> int:
    return max(pq.read_table(file, columns=["step"])["step"].to_pylist(), default=-1)


def _first(file: Path) -> int:
    return int(file.stem.removeprefix("rollouts-"))


def _rows(file: Path) -> list[dict[str, Any]]:
    table = pq.read_table(file, schema=SCHEMA)
    return [row | {"components": dict(row["components"])} for row in table.to_pylist()]


def _write(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist([_storable(row) for row in rows], schema=SCHEMA)
    part = file.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    publish(part, file)


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """The row with text that UTF-8 can hold."""
    texts = {name: _utf8(value) for name, value in row.items() if isinstance(value, str)}
    return row | texts | {"components": [(_utf8(name), number(part)) for name, part in row["components"].items()]}


def _utf8(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
