"""JSON lines: rollouts in, in bounded batches; answers out, flushed after each batch."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError, TooLargeError
from rewardmesh.contract.json_form import read_rollout
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict

BATCH_LINES = 256  # what engines like to be given at once
BATCH_BYTES = 8 * 2**20  # half a message at its default limit: JSON and protobuf differ in size, base64 shrinks
MAX_LINE_BYTES = 64 * 2**20  # longer lines are skipped unread; a message at its default limit is a quarter of that


@dataclass(slots=True)
class Batch:
    """Some lines of a file in order: a rollout each, or the verdict of a line that holds none. Ids differ."""

    items: list[Rollout | Verdict] = field(default_factory=list[Rollout | Verdict])
    ids: set[str] = field(default_factory=set[str])
    size: int = 0

    @property
    def rollouts(self) -> list[Rollout]:
        """The lines that can be scored."""
        return [item for item in self.items if isinstance(item, Rollout)]

    def merged(self, answers: Iterable[Verdict]) -> list[Verdict]:
        """One verdict per line, in order, given those of `rollouts`."""
        rest = iter(answers)
        return [item if isinstance(item, Verdict) else next(rest) for item in self.items]


@contextmanager
def opened(path: str) -> Generator[BinaryIO]:
    """The file, or stdin for "-". Raises OSError."""
    if path == "-" and sys.stdin is None:  # its number may meanwhile be another file's
        raise OSError("stdin is closed: there is nothing to read; give it a file, or < /dev/null")
    # Not sys.stdin's buffer: Python takes that apart when it exits, and aborts if a thread is waiting in it for a line.
    file = open(0, "rb", closefd=False) if path == "-" else open(path, "rb")  # noqa: SIM115 - closed below
    yield file
    file.close()  # only at a good end: told to stop, a thread may be waiting in it for a writer, and closing waits too


def batches(file: BinaryIO) -> Iterator[Batch]:
    """The file's lines; blank ones are skipped, but counted. A batch ends early before an id it already has."""
    batch = Batch()
    for number, line in enumerate(_lines(file), 1):
        if line is not None and not line.strip():
            continue
        item = _read(line, number)
        size = len(line or b"")
        full = len(batch.items) == BATCH_LINES or (batch.items and batch.size + size > BATCH_BYTES)
        if full or (isinstance(item, Rollout) and item.id in batch.ids):
            yield batch
            batch = Batch()
        batch.items.append(item)
        batch.size += size
        if isinstance(item, Rollout):
            batch.ids.add(item.id)
    if batch.items:
        yield batch


def write(lines: Iterable[str]) -> None:
    """Writes lines to stdout as UTF-8 and flushes. Raises BrokenPipeError."""
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode(errors="replace"))
    sys.stdout.buffer.flush()


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Every line; None for one that is too long to hold."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield None


def _read(line: bytes | None, number: int) -> Rollout | Verdict:
    try:
        if line is None:
            raise TooLargeError(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
        return read_rollout(line)
    except (InvalidRolloutError, InvalidReferenceError, TooLargeError) as error:
        return Verdict(_id_of(line) or f"line-{number}", Failure.from_error(error))


def _id_of(line: bytes | None) -> str:
    """The id in a line that is no rollout; empty if there is none to be read."""
    try:
        value: object = json.loads(line or b"")
        id: object = cast(dict[str, Any], value).get("id") if isinstance(value, dict) else None
        return id.encode().decode() if isinstance(id, str) else ""  # a lone surrogate is no id
    except (ValueError, RecursionError):
        return ""
