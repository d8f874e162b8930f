"""Keeps callers away from a server that fails, and says so once."""

from __future__ import annotations

import logging
import random
import time

COOLDOWN_SECONDS = 1.0

log = logging.getLogger(__name__)


class Breaker:
    """Opens at the first failure, since a frozen server should cost one wait; closes when a try succeeds.

    A try is for whoever `due` lets through: about one per second while open, not at the same moment in all routers.

    Args:
        what: What fails, for the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._next_try = 0.0
        self.open = False

    def due(self) -> bool:
        """Whether a try may be made now: then it is the caller's."""
        now = time.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + COOLDOWN_SECONDS * random.uniform(0.75, 1.25)
        return True

    def failed(self, error: BaseException) -> None:
        """Opens it."""
        self._next_try = time.monotonic() + COOLDOWN_SECONDS * random.uniform(0.75, 1.25)
        if not self.open:
            self.open = True
            log.warning("%s failed, going on without: %s: %.200s", self._what, type(error).__name__, error)

    def succeeded(self) -> None:
        """Closes it."""
        if self.open:
            self.open = False
            log.info("%s works again", self._what)
