"""Keeps Python's garbage collector from going through everything that was loaded, over and over."""

from __future__ import annotations

import gc


def settle() -> None:
    """Called once a process has loaded what it serves with. What there is by now stays, and is not looked at again.

    A full collection of a router's 100,000 objects stops it for 50 ms, some three times in 40,000 rollouts.
    """
    gc.collect()
    gc.freeze()
