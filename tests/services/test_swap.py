"""A reward model is replaced under load: every rollout gets its score, and no group two versions."""

from __future__ import annotations

import asyncio
import itertools
import time

from rewardmesh.contract import Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.services.engine import Engine
from rewardmesh.services.runner import slices

REWARD = "swapping_preference"
CLIENTS, GROUP = 4, 6


def envelopes(group: str, source: str = "") -> list[Envelope]:
    return [
        Envelope.seal(
            Rollout(f"{group}/{i}", f"It is {i}.", "Which one?", group=group, task="preference", source=source)
        )
        for i in range(GROUP)
    ]


async def models(engine: Engine, batch: list[Envelope]) -> list[str]:
    outcomes = [verdict.outcome for verdict in await engine.score(REWARD, batch, 60)]
    assert all(isinstance(outcome, Score) for outcome in outcomes), outcomes
    return [outcome.model for outcome in outcomes if isinstance(outcome, Score)]


async def test_a_swap_under_load_fails_nothing_and_mixes_nothing(engine: Engine) -> None:
    [first] = set(await models(engine, envelopes("before")))
    seen: list[str] = []

    async def client(number: int) -> None:
        deadline = time.monotonic() + 60
        for count in itertools.count():
            if len(seen) >= 40 and len(set(seen)) == 2:
                return
            assert time.monotonic() < deadline, "the new version is not served"
            [found] = set(await models(engine, envelopes(f"{number}-{count}")))
            seen.append(found)

    await asyncio.gather(models(engine, envelopes("swap", "swap")), *(client(number) for number in range(CLIENTS)))
    assert len(set(seen)) == 2
    assert set(await models(engine, envelopes("before"))) == {first}  # a group that had begun
    assert first not in await models(engine, envelopes("after"))


def test_slices_keep_groups_together() -> None:
    groups = ["a"] * 6 + ["b"] * 6 + [""] * 3 + ["c"] * 20
    batch = [Envelope.seal(Rollout(str(i), "x", group=group)) for i, group in enumerate(groups)]
    parts = [[envelope.group for envelope in part] for part in slices(batch, 8)]
    assert [group for part in parts for group in part] == groups
    assert all(0 < len(part) <= 8 for part in parts)
    assert sum("a" in part for part in parts) == sum("b" in part for part in parts) == 1
    assert [len(part) for part in slices(batch, 8)] == [6, 8, 1, 8, 8, 4]
    assert list(slices([], 8)) == []
