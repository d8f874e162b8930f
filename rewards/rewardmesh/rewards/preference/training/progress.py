"""A progress bar that suits a terminal, a log file, and a closed stderr."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

# In a log every update is a line: one in a while is enough.
_LOG_SECONDS = 10.0


def bar(total: int, what: str, done: int = 0) -> tqdm[Any]:
    """A bar over `total` steps on stderr, to be used as a context manager."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=what,
        initial=done,
        disable=sys.stderr is None,
        mininterval=0.2 if terminal else _LOG_SECONDS,
        dynamic_ncols=True,
        leave=terminal,
    )
