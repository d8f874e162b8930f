"""Parquet: every field comes back, and whatever file operation is the last one, nothing is lost or double."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rewardmesh.trainer_client.logs.parquet import PENDING, SCHEMA, ParquetLog, read_rollouts
from rewardmesh.trainer_client.logs.record import RolloutRecord
from tests.trainer_client.logs.steps import TEXTS, metrics, rollouts


class Killed(BaseException):
    """The process is gone."""


def write(log: ParquetLog, *steps: int) -> None:
    for step in steps:
        log.step(metrics(step), rollouts(step))


def steps(folder: Path) -> list[int]:
    found = [r.step for r in read_rollouts(folder)]
    assert len(found) == len(TEXTS) * len(set(found))
    return found[:: len(TEXTS)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def as_utf8(record: RolloutRecord) -> RolloutRecord:
    clean = record.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return dataclasses.replace(record, text=clean)


def test_all_fields_come_back(tmp_path: Path) -> None:
    write(ParquetLog(tmp_path, 2), 0, 1, 2)
    assert names(tmp_path) == [PENDING, "rollouts-00000000.parquet"]
    found = read_rollouts(tmp_path)
    assert found[: 2 * len(TEXTS)] == [as_utf8(record) for step in (0, 1) for record in rollouts(step)]
    assert found[2 * len(TEXTS) :] == rollouts(2)  # still JSON, which holds lone surrogates too
    assert found[4].text == "a lone \ufffd surrogate and another \ufffd"


def test_any_reader_finds_typed_columns(tmp_path: Path) -> None:
    write(ParquetLog(tmp_path, 1), 0)
    table = pq.read_table(tmp_path / "rollouts-00000000.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.column_names == [field.name for field in dataclasses.fields(RolloutRecord)]
    assert table["value"].null_count == 2
    assert table["components"].to_pylist()[1] == [("iou", 0.1 + 0.2), ("é", 1.0)]


def test_nan_is_null(tmp_path: Path) -> None:
    record = dataclasses.replace(rollouts(0)[0], advantage=math.nan, components={"a": math.inf, "b": 0.0})
    log = ParquetLog(tmp_path, 1)
    log.step(metrics(0), [record])
    (row,) = pq.read_table(tmp_path / "rollouts-00000000.parquet").to_pylist()
    assert row["advantage"] is None
    assert row["components"] == [("a", None), ("b", 0.0)]


def test_close_leaves_nothing_pending_and_a_later_step_is_taken_in(tmp_path: Path) -> None:
    log = ParquetLog(tmp_path, 4)
    write(log, 0, 1)
    log.close()
    assert (tmp_path / PENDING).read_bytes() == b""
    assert pq.read_table(tmp_path / "rollouts-00000000.parquet").num_rows == 2 * len(TEXTS)
    again = ParquetLog(tmp_path, 4)
    write(again, 2, 3)
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert names(tmp_path) == [PENDING, "rollouts-00000000.parquet"]


@pytest.mark.parametrize("to", range(9))
@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_rewind_drops_that_step_and_all_after_it(tmp_path: Path, to: int, reopened: bool, closed: bool) -> None:
    log = ParquetLog(tmp_path, 3)
    write(log, *range(8))
    if closed:
        log.close()
    if reopened:
        log = ParquetLog(tmp_path, 3)
    log.rewind(to)
    assert steps(tmp_path) == list(range(min(to, 8)))
    write(log, *range(to, 12))
    assert steps(tmp_path) == [s for s in range(12) if s != 8 or to < 9]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_pending_rows_that_a_kill_left_beside_their_file_are_not_read_twice(tmp_path: Path, size: int) -> None:
    """The kill came when the file had its name and the pending rows were not dropped yet."""
    log = ParquetLog(tmp_path, 4)
    write(log, 0, 1, 2)
    left = (tmp_path / PENDING).read_bytes()
    log.close()
    (tmp_path / PENDING).write_bytes(left)
    assert steps(tmp_path) == [0, 1, 2]
    log = ParquetLog(tmp_path, size)
    assert (tmp_path / PENDING).read_bytes() == b""
    write(log, *range(3, 9))
    assert steps(tmp_path) == list(range(9))


def test_files_of_another_size_are_gone_on_with(tmp_path: Path) -> None:
    write(ParquetLog(tmp_path, 5), *range(10))
    log = ParquetLog(tmp_path, 2)
    log.rewind(7)
    write(log, 7, 8, 9, 10)
    assert steps(tmp_path) == list(range(11))


def _die_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends right before file operation `number`: a truncation, a rename, a removal or a sync."""
    left = [number]

    def dying(real: Any) -> Any:
        def operation(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments, **named)

        return operation

    for where, name in ((os, "truncate"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
        monkeypatch.setattr(where, name, dying(getattr(where, name)))


def test_a_kill_before_any_file_operation_loses_nothing(tmp_path: Path) -> None:
    """Step 4 falls into a file that an earlier process closed early; each run is killed one operation later."""
    for number in range(100):
        folder = tmp_path / str(number)
        log = ParquetLog(folder, 3)
        write(log, *range(4))
        log.close()
        done = 3
        with pytest.MonkeyPatch.context() as patch:
            _die_at(number, patch)
            try:
                log = ParquetLog(folder, 3)
                log.rewind(4)
                for done in range(4, 8):
                    write(log, done)
                log.close()
                done = 8
            except Killed:
                pass
        checkpoint = max(4, done)
        assert [s for s in dict.fromkeys(r.step for r in read_rollouts(folder)) if s < checkpoint] == list(
            range(checkpoint)
        )
        log = ParquetLog(folder, 3)
        log.rewind(checkpoint)
        write(log, *range(checkpoint, 10))
        assert steps(folder) == list(range(10))
        if done == 8:
            assert number > 10
            return
    pytest.fail("there are fewer operations than this")


def test_a_part_that_was_never_finished_is_not_read(tmp_path: Path) -> None:
    log = ParquetLog(tmp_path, 2)
    write(log, 0)
    (tmp_path / "rollouts-00000000.part").write_bytes(b"PAR1 half a fi")
    assert steps(tmp_path) == [0]
    write(log, 1)
    assert names(tmp_path) == [PENDING, "rollouts-00000000.parquet"]


def test_a_step_without_rollouts_makes_no_file(tmp_path: Path) -> None:
    log = ParquetLog(tmp_path, 1)
    log.step(metrics(0), [])
    assert names(tmp_path) == [PENDING]


def test_a_rewind_before_the_first_rollout_of_a_file(tmp_path: Path) -> None:
    log = ParquetLog(tmp_path, 4)
    log.step(metrics(0), [])
    write(log, 1, 2, 3)
    for _ in range(2):
        log.rewind(1)
        log = ParquetLog(tmp_path, 4)
    write(log, 1, 2)
    assert steps(tmp_path) == [1, 2]


def test_files_of_no_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ParquetLog(tmp_path, 0)


@pytest.mark.parametrize(
    ("value", "failure"), [(None, None), (0.5, "timeout"), (math.nan, None), (1.5, None), (-0.1, None)]
)
def test_a_record_is_judged_or_failed(value: float | None, failure: str | None) -> None:
    with pytest.raises(ValueError, match="value"):
        dataclasses.replace(rollouts(0)[0], value=value, failure=failure)
