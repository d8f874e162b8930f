"""Scores remembered in this process, the least recently used forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import cast

from rewardmesh.router.cache.key import Key

# Of one entry: its place in the hash table, the list's node and what malloc rounds up, in bytes.
ENTRY_BYTES = 200


class LRU:
    """Serialised scores by key, within a limit of memory. Every operation takes constant time per key.

    Args:
        limit: Bytes that keys and values may take together; 0 to remember nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Keys and values hold only texts and bytes, which the garbage collector need not visit.
        self._scores: OrderedDict[Key, bytes] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._scores)

    def get_many(self, keys: Iterable[Key]) -> tuple[dict[Key, bytes], Sequence[Key]]:
        """What is known, and the keys of what is not, each once."""
        found: dict[Key, bytes] = {}
        missing: dict[Key, None] = {}
        get, use = self._scores.get, self._scores.move_to_end
        for key in keys:
            score = get(key)
            if score is None:
                missing[key] = None
            else:
                found[key] = score
                use(key)
        return found, list(missing)

    def put(self, key: Key, score: bytes) -> None:
        """Remembers a score, and forgets others for it."""
        old = self._scores.pop(key, None)
        if old is not None:
            self.bytes -= entry_bytes(key, old)
        size = entry_bytes(key, score)
        if size > self._limit:
            return
        self._scores[key] = score
        self.bytes += size
        while self.bytes > self._limit:
            self.bytes -= entry_bytes(*self._scores.popitem(last=False))


def entry_bytes(key: Key, score: bytes) -> int:
    """What a key and its score take, in bytes."""
    return ENTRY_BYTES + _tuple_bytes(key[1:]) + score.__sizeof__()  # the first of a key is shared by all of its reward


def _tuple_bytes(parts: tuple[Hashable, ...]) -> int:
    size = parts.__sizeof__()
    for part in parts:
        # `sys.getsizeof` takes ten times as long; it adds what the garbage collector has no need of here.
        size += part.__sizeof__() if type(part) is not tuple else _tuple_bytes(cast(Key, part))
    return size
