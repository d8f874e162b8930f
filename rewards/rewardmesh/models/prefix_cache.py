"""What a reward model remembers of the prompts it read last: keys and values, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from dataclasses import dataclass

from transformers import DynamicCache

# A thousand tokens of a 7B model take some 60 MB.
CACHE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt, read.

    Attributes:
        cache: Keys and values of every layer, [1, heads, tokens, size] each. Never written to: `repeated` copies.
        next_position: The position of the token to come.
    """

    cache: DynamicCache
    next_position: int

    def repeated(self, rows: int) -> DynamicCache:
        """A cache to read on from, for so many completions."""
        # A layer's update replaces its tensors: copies of the layers leave those here alone.
        found = copy(self.cache)
        found.layers = [copy(layer) for layer in self.cache.layers]
        if rows > 1:
            found.batch_repeat_interleave(rows)
        return found

    @property
    def bytes(self) -> int:
        """Memory its keys and values take."""
        tensors = [getattr(layer, name, None) for layer in self.cache.layers for name in ("keys", "values")]
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)


class PrefixCache:
    """The prefixes used last, within a budget.

    Args:
        budget: Bytes. A prefix larger than half of it is not kept.
    """

    def __init__(self, budget: int = CACHE_BYTES) -> None:
        self._budget = budget
        self._kept: OrderedDict[object, Prefix] = OrderedDict()
        self.bytes = 0

    def get(self, key: object) -> Prefix | None:
        """A prefix, if it is still there."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: object, prefix: Prefix) -> None:
        """Keeps a prefix, and drops those that were not used for longest."""
        size = prefix.bytes
        if size > self._budget // 2 or key in self._kept:
            return
        self._kept[key] = prefix
        self.bytes += size
        while self.bytes > self._budget:
            _, dropped = self._kept.popitem(last=False)
            self.bytes -= dropped.bytes
