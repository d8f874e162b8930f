"""Coalescing: what many callers ask at the same time is shipped in few batches.

Self-clocking: a batch goes at once while few are in flight; else callers pile up, and the next batch takes them all. So
nobody waits when it is quiet, and batches are large when it is busy. What is put in one turn of the event loop goes
together, or shared out among all batches that may go: while one side works on the first, the other works on the second.
A caller who seems to be the only one has its item shipped in its own task, which spares it two turns of the loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

# Fewer than this are not shared out: a batch has a cost of its own.
SMALLEST_SHARE = 32

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Entry(Generic[Item, Result]):
    """An item, and who waits for its result."""

    __slots__ = ("batch", "count", "future", "item", "key", "size")

    def __init__(self, item: Item, key: Hashable, count: int, size: int) -> None:
        self.item = item
        self.key = key
        self.count = count
        self.size = size
        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.batch: _Batch[Item, Result] | None = None  # None: still queued


class _Batch(Generic[Item, Result]):
    """What is on its way together: entries whose callers wait in `task`, or the item of one who ships it itself."""

    __slots__ = ("entries", "items", "task", "waiting")

    def __init__(
        self, items: int, entries: Sequence[_Entry[Item, Result]] = (), task: asyncio.Task[None] | None = None
    ) -> None:
        self.items = items
        self.entries = entries
        self.task = task
        self.waiting = len(entries)
        for entry in entries:
            entry.batch = self


class Coalescer(Generic[Item, Result]):
    """Ships items in batches. Belongs to the event loop it is first used on.

    The limits are attributes and may be changed while it is in use; what is in flight is not touched by that.

    Args:
        ship: Gets the items of a batch, at least one, and returns a result for each, in order. What it raises is raised
            to everyone whose item was in the batch. It is cancelled when none of them waits any more.
        in_flight: Batches on their way at the same time.
        max_items: The counts in a batch add up to this at most; an item that is over it by itself goes alone.
        max_bytes: The same for the sizes.
        alike: Whether an item (the second) may go with the first of a batch; None: any may.
        patience: Seconds after which a batch on its way is taken for slow and no longer counts as in flight, so that
            those behind it need not wait for it; None: it always counts.

    Attributes:
        queued_items: Counts of what waits to be shipped, added up.
        queued_bytes: Sizes of the same.
    """

    def __init__(
        self,
        ship: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        in_flight: int = 2,
        max_items: int = 256,
        max_bytes: int = sys.maxsize,
        alike: Callable[[Item, Item], bool] | None = None,
        patience: float | None = None,
    ) -> None:
        self.in_flight = in_flight
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.queued_items = 0
        self.queued_bytes = 0
        self._ship = ship
        self._alike = alike
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None
        self._queues: OrderedDict[Hashable, OrderedDict[_Entry[Item, Result], None]] = OrderedDict()  # next key first
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: dict[_Batch[Item, Result], float] = {}  # those that count as in flight, and since when
        self._on_their_way = 0  # the counts of what is in them
        self._alone_running = 0  # in their callers' tasks
        self._lonely = False  # the last batch was one caller's
        self._starting = False  # one more is about to take its batch

    async def put(self, item: Item, *, key: Hashable = None, count: int = 1, size: int = 0) -> Result:
        """The item's result, when the batch it went with is done. Cancelling this takes the item back.

        Args:
            item: What is shipped: one thing, or many that stay together (then say so by `count`).
            key: Whose it is. Keys take turns, an item each, so that nobody's many keep others waiting.
            count: What it adds to `max_items`.
            size: What it adds to `max_bytes`.

        Raises:
            Exception: What `ship` raised.
        """
        if self._lonely and not (self._queues or self._under_way or self._starting):
            return await self._alone(item, count)
        entry: _Entry[Item, Result] = _Entry(item, key, count, size)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = OrderedDict()
        queue[entry] = None
        self.queued_items += count
        self.queued_bytes += size
        self._start()
        try:
            return await entry.future
        except asyncio.CancelledError:
            self._take_back(entry)
            raise

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and nothing on its way."""
        return not (self._queues or self._tasks or self._alone_running)

    async def _alone(self, item: Item, count: int) -> Result:
        """Ships one item in the caller's own task."""
        batch: _Batch[Item, Result] = _Batch(count)
        self._alone_running += 1
        self._begin(batch)
        try:
            [result] = await self._ship([item])
            return result
        finally:
            self._alone_running -= 1
            self._leave_behind(batch)

    def _begin(self, batch: _Batch[Item, Result]) -> None:
        self._on_their_way += batch.items
        self._under_way[batch] = asyncio.get_running_loop().time()

    def _start(self) -> None:
        if not self._queues or self._starting:
            return
        if len(self._under_way) < self.in_flight:
            self._starting = True
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self._patience is not None and self._under_way:
            self._wait_no_longer(self._patience)

    def _wait_no_longer(self, patience: float) -> None:
        """Leaves the oldest batch behind, when patience with it ends. Only where somebody waits: timers cost time."""
        oldest, began = next(iter(self._under_way.items()))
        loop = asyncio.get_running_loop()
        left = began + patience - loop.time()
        if left <= 0:
            self._leave_behind(oldest)
        elif self._timer is None:
            self._timer = loop.call_later(left, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._start()

    async def _run(self) -> None:
        """Ships one batch: what is queued when this begins, a turn of the loop after it was started."""
        self._starting = False
        task = asyncio.current_task()
        assert task is not None
        entries = self._next()
        batch = _Batch(sum(entry.count for entry in entries), entries, task)
        self._lonely = len(entries) == 1
        self._begin(batch)
        try:
            if not entries:  # all were taken back
                return
            self._start()  # more may be queued than fits in one
            results = await self._ship([entry.item for entry in entries])
            for entry, result in zip(batch.entries, results, strict=True):
                if not entry.future.done():
                    entry.future.set_result(result)
        except Exception as error:  # noqa: BLE001 - theirs, whatever it is
            for entry in batch.entries:
                if not entry.future.done():
                    entry.future.set_exception(error)
        finally:
            for entry in batch.entries:
                entry.future.cancel()  # does nothing to one that is done; else this task was cancelled
            self._leave_behind(batch)

    def _next(self) -> list[_Entry[Item, Result]]:
        """Takes the next batch from the queues. What does not fit keeps its turn for the one after it."""
        taken: list[_Entry[Item, Result]] = []
        passed: list[tuple[Hashable, OrderedDict[_Entry[Item, Result], None]]] = []
        items = size = 0
        share = max(SMALLEST_SHARE, -(-(self.queued_items + self._on_their_way) // self.in_flight))
        enough = min(share, self.max_items)
        # A long queue of misfits is not to be searched to its end for each batch.
        while self._queues and items < enough and len(passed) < self.max_items:
            key, queue = self._queues.popitem(last=False)
            entry = next(iter(queue))
            if taken and not self._fits(entry, taken[0], items, size):
                passed.append((key, queue))
                continue
            taken.append(entry)
            items += entry.count
            size += entry.size
            del queue[entry]
            if queue:
                self._queues[key] = queue
        for key, queue in reversed(passed):
            self._queues[key] = queue
            self._queues.move_to_end(key, last=False)
        self.queued_items -= items
        self.queued_bytes -= size
        return taken

    def _fits(self, entry: _Entry[Item, Result], first: _Entry[Item, Result], items: int, size: int) -> bool:
        if items + entry.count > self.max_items or size + entry.size > self.max_bytes:
            return False
        return self._alike is None or self._alike(first.item, entry.item)

    def _take_back(self, entry: _Entry[Item, Result]) -> None:
        if entry.batch is None:
            queue = self._queues[entry.key]
            del queue[entry]
            if not queue:
                del self._queues[entry.key]
            self.queued_items -= entry.count
            self.queued_bytes -= entry.size
            return
        entry.batch.waiting -= 1
        if entry.batch.waiting == 0 and entry.batch.task is not None:
            entry.batch.task.cancel()

    def _leave_behind(self, batch: _Batch[Item, Result]) -> None:
        """The batch is done, or slow: the next may go."""
        if self._under_way.pop(batch, None) is not None:
            self._on_their_way -= batch.items
            self._start()
