"""What a command says, and how it ends."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def complain(message: str) -> int:
    """Says in one line what went wrong; returns the exit status for it."""
    print(f"rewardmesh-train: {message}", file=sys.stderr)  # noqa: T201 -- a CLI prints
    return 1


def say(line: str) -> None:
    """Says a line, at once."""
    print(line, flush=True)  # noqa: T201 -- a CLI prints
