"""A file of JSON lines that survives being killed in mid-write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


class Lines:
    """Appends JSON objects, a line each, to a file that is whole again whenever it is opened.

    A line is on disk when `append` returns. A process that is killed in the middle leaves a line without its end, which
    readers pass over and the next opening cuts off.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it and its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        path.touch()
        self.cut(lambda row: True)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes rows at the end.

        Raises:
            ValueError: A number is NaN or infinite.
        """
        # ASCII: a lone surrogate, which a tokenizer may produce, has no form in UTF-8.
        text = "".join(json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n" for row in rows)
        with self.path.open("a", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def cut(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Cuts the file off at the first row that is not to be kept, or that never was finished."""
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") or not keep(json.loads(line)):
                    break
                end += len(line)
        os.truncate(self.path, end)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a file anew: it has all of the rows, or is as it was.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    Lines(part).append(rows)
    publish(part, path)


def publish(part: Path, path: Path) -> None:
    """Gives a finished file its name, on disk before anything that follows."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, without a last line that never was finished; none if there is no file.

    Raises:
        ValueError: A line is not JSON.
    """
    if not path.exists():
        return []
    with path.open("rb") as file:
        return [json.loads(line) for line in file if line.endswith(b"\n")]
