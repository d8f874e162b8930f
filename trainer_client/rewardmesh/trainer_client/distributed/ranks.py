"""The processes that train one policy together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import torch.distributed as dist

T = TypeVar("T")


class RankFailedError(RuntimeError):
    """Another process failed, and said so."""


class Ranks:
    """This process among them. Every method is called by all of them, in the same order.

    Attributes:
        rank: Which one this is, from 0.
        world: How many there are.
        group: What they talk over; None for one process.
    """

    def __init__(self, rank: int = 0, world: int = 1, group: dist.ProcessGroup | None = None) -> None:
        """One process alone, or one of several that talk over `group`."""
        self.rank = rank
        self.world = world
        self.group = group

    @classmethod
    def join(cls) -> Ranks:
        """This process among those of torch's default group, which must be there; alone, if there is none.

        What they tell each other goes over gloo: with NCCL it would pass through a GPU.
        """
        if not dist.is_initialized():
            return cls()
        group = cast(dist.ProcessGroup, dist.new_group(backend="gloo"))
        return cls(dist.get_rank(), dist.get_world_size(), group)

    def gather(self, mine: T) -> list[T]:
        """What each of them has, by rank."""
        if self.world == 1:
            return [mine]
        found: list[T | None] = [None] * self.world
        dist.all_gather_object(found, mine, group=self.group)
        return [each for each in found if each is not None]

    def together(self, work: Callable[[], T]) -> list[T]:
        """Does some work on each, alone, and gathers the results.

        Where it fails on one, it fails on all: nobody waits for a process that has given up.

        Raises:
            RankFailedError: It failed on another.
            Exception: Whatever it raised here.
        """
        failed: BaseException | None = None
        done: list[T] = []
        try:
            done.append(work())
        except Exception as error:  # noqa: BLE001 -- raised again below, when the others know
            failed = error
        gathered = self.gather((done, None if failed is None else f"{type(failed).__name__}: {failed}"))
        if failed is not None:
            raise failed
        for rank, (_, problem) in enumerate(gathered):
            if problem is not None:
                raise RankFailedError(f"process {rank} of {self.world} failed: {problem}")
        return [result[0] for result, _ in gathered]


ALONE = Ranks()
