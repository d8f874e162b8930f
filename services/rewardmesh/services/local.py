"""The engine without a cluster: every reward on this machine, behind its runner."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.services.engine import RewardSpec, RewardStatus
from rewardmesh.services.runner import Runner


class LocalEngine:
    """Runs rewards in this process: microsecond rewards on the event loop, models in threads, parsers in children."""

    def __init__(self, specs: Sequence[RewardSpec]) -> None:
        self._runners = {spec.name: Runner(spec) for spec in specs}
        self._statuses = {name: runner.status() for name, runner in self._runners.items()}
        self._unsettled = dict(self._runners)

    async def start(self) -> None:
        """See `Engine`."""
        await asyncio.gather(*(runner.start() for runner in self._runners.values()))
        self._unsettled = {name: runner for name, runner in self._runners.items() if not runner.settled}
        self._statuses = {name: runner.status() for name, runner in self._runners.items()}

    def status(self) -> Mapping[str, RewardStatus]:
        """See `Engine`."""
        changed = {  # asked for each message
            name: now
            for name, runner in self._unsettled.items()
            if (now := runner.status()) is not self._statuses[name]
        }
        if changed:
            self._statuses = self._statuses | changed
        return self._statuses

    def targets(self, reward: str) -> int:
        """See `Engine`."""
        return 0 if self._runners[reward].inline else 1

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """See `Engine`."""
        try:
            return await self._runners[reward].score(batch, timeout)
        except Exception as error:  # noqa: BLE001 - a defect in a runner is a Failure of this batch, never an exception
            failure = Failure.from_error(error)
            return [Verdict(envelope.id, failure, envelope.task, reward) for envelope in batch]

    async def close(self) -> None:
        """See `Engine`."""
        await asyncio.gather(*(runner.close() for runner in self._runners.values()))
