"""A checkpoint folder that may be replaced while it is served: load beside, verify, flip, drain.

Point a symbolic link at another folder, or move a folder into the place of this one. The new files are loaded and
verified in a thread of their own while the old model goes on scoring; what cannot be loaded, or does not give its
golden scores, is not served. A group that the old version has begun to judge is judged by it to its end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rewardmesh.rewards.preference.judged import Case, Judgement

# How often the folder is looked at, while there is something to score.
LOOK_SECONDS = 1.0
# For so long after its last completion a group may send another one, and finds its version. Then memory is freed.
DRAIN_SECONDS = 300.0
_MAX_PINNED = 65536

_log = logging.getLogger(__name__)


class Version(Protocol):
    """A loaded checkpoint."""

    sees: bool
    digest: str

    def judge(self, cases: Sequence[Case]) -> list[Judgement]: ...


V = TypeVar("V", bound=Version)


class HotSwap(Generic[V]):
    """The newest sound version of a checkpoint folder, and older ones for as long as a group needs them.

    Called from one thread at a time.

    Args:
        folder: The checkpoint's.
        load: Loads and verifies what lies there now.

    Raises:
        Exception: What `load` raises, the first time.
    """

    def __init__(self, folder: Path, load: Callable[[], V]) -> None:
        self._folder = folder
        self._load = load
        self._fingerprint = fingerprint(folder)
        self._current = load()
        self._seen, self._looked = self._fingerprint, time.monotonic()
        self._loading: threading.Thread | None = None
        self._pinned: OrderedDict[str, tuple[V, float]] = OrderedDict()

    @property
    def sees(self) -> bool:
        """Whether the newest version takes images."""
        return self._current.sees

    @property
    def digest(self) -> str:
        """Of the newest version."""
        return self._current.digest

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """One per case, in order, each by the version that began to judge its group."""
        self._look()
        by_version: dict[int, tuple[V, list[int]]] = {}
        for place, case in enumerate(cases):
            version = self._version_for(case.group)
            by_version.setdefault(id(version), (version, []))[1].append(place)
        found: dict[int, Judgement] = {}
        for version, places in by_version.values():
            found |= zip(places, version.judge([cases[place] for place in places]), strict=True)
        return [found[place] for place in range(len(cases))]

    def _version_for(self, group: Hashable) -> V:
        if not isinstance(group, str):
            return self._current  # a completion without a group
        now = time.monotonic()
        version, _ = self._pinned.pop(group, (self._current, now))
        self._pinned[group] = (version, now)
        while self._pinned:
            oldest = next(iter(self._pinned))
            if len(self._pinned) <= _MAX_PINNED and self._pinned[oldest][1] > now - DRAIN_SECONDS:
                break
            del self._pinned[oldest]
        return version

    def _look(self) -> None:
        """Begins to load the folder's new content, once it has stopped changing."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS or self._loading is not None:
            return
        self._looked = now
        seen = fingerprint(self._folder)
        settled, self._seen = seen == self._seen, seen
        if seen and settled and seen != self._fingerprint:
            self._fingerprint = seen  # whatever comes of it, it is tried once
            self._loading = threading.Thread(target=self._swap, daemon=True)
            self._loading.start()

    def _swap(self) -> None:
        try:
            loaded = self._load()
        except Exception:  # noqa: BLE001 - whatever a damaged file raises, the old version goes on
            _log.exception("%s has changed and cannot be served: the version before it stays", self._folder)
        else:
            _log.warning("%s: %s replaces %s", self._folder, loaded.digest, self._current.digest)
            self._current = loaded
        finally:
            self._loading = None


def fingerprint(folder: Path) -> tuple[object, ...]:
    """What changes when a checkpoint does: where the folder really is, and its files' names, sizes and times.

    Empty while the folder is not there.
    """
    try:
        files = sorted(os.scandir(folder), key=lambda entry: entry.name)
        states = [(entry.name, entry.stat()) for entry in files if entry.is_file()]
    except OSError:
        return ()
    return (os.path.realpath(folder), *((name, state.st_size, state.st_mtime_ns) for name, state in states))
