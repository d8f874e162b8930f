"""One step's groups over several processes: each generates its share and asks for its rewards, then all know all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rewardmesh.contract import Verdict
from rewardmesh.trainer_client.distributed.ranks import Ranks
from rewardmesh.trainer_client.mixing.mixture import Draw
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.training.group import Group
from rewardmesh.trainer_client.training.overlap import Overlap


class _Share(NamedTuple):
    """What one process knows of a group of its own."""

    completions: list[Completion]
    verdicts: Mapping[int, Verdict]


class SharedOverlap(Overlap):
    """An `Overlap` in which the groups of a wave are dealt out to the processes in turn.

    Every process draws the same prompts, and every process sees every group in the same order: what is drawn again,
    trained on and reported is the same on all of them. A process waits for the verdicts of its own groups wave by wave,
    in order; training on a wave overlaps with the verdicts of those behind it.

    Args:
        ranks: The processes.
        others: As of `Overlap`.
    """

    def __init__(self, ranks: Ranks, *others: Any) -> None:
        super().__init__(*others)
        self._ranks = ranks
        self._waves: list[list[Group]] = []
        self._problem: Exception | None = None

    def ready(self, *, all_at_once: bool = False) -> Iterator[Group]:
        """As `Overlap.ready`.

        Raises:
            RankFailedError: Generation or a scorer failed on another process.
        """
        self._generate(self._mixture.draw(self._step, self._config.prompts_per_step))
        more = True
        while more:
            for wave in self._waves:
                self._exchange(wave)
                if not all_at_once:
                    yield from self._assessed(wave)
            more = self._redraw()
        if all_at_once:
            yield from self._assessed(self.groups)

    def _assessed(self, groups: Sequence[Group]) -> Iterator[Group]:
        for group in groups:
            self._assess(group)
            yield group

    def _generate(self, draws: Sequence[Draw]) -> None:
        """Generates this process's share of every wave; what goes wrong is told to the others in the exchange."""
        self._waves = self._enter(draws)
        for number, wave in enumerate(self._waves):
            try:
                self._fill(self._mine(wave), f"{number}/{self._ranks.rank}")
            except Exception as error:  # noqa: BLE001 -- raised in the exchange, on all processes
                self._problem = error
                return

    def _mine(self, wave: Sequence[Group]) -> list[Group]:
        return [*wave[self._ranks.rank :: self._ranks.world]]

    def _exchange(self, wave: Sequence[Group]) -> None:
        """Waits for the verdicts of this process's share of a wave, and learns of the others'."""

        def settled() -> list[_Share]:
            if self._problem is not None:
                raise self._problem
            mine = self._mine(wave)
            while True:
                self._asking.take()
                if all(group.settled for group in mine):
                    return [_Share(group.completions, group.verdicts) for group in mine]
                with self._timed("score"):
                    self._asking.wait()

        shares = self._ranks.together(settled)
        for place, group in enumerate(wave):
            rank, number = place % self._ranks.world, place // self._ranks.world
            if rank != self._ranks.rank:
                share = shares[rank][number]
                for completion in share.completions:
                    self._name(group, completion)
                group.completions.extend(share.completions)
                group.verdicts.update(share.verdicts)
