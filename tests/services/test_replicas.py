"""The replicas of a reward: kept in reach while they are cut off, leave, die and are replaced, and chosen among."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path

import pytest

from rewardmesh.contract import Verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.services.directory import Announcement
from rewardmesh.services.replica_stream import ReplicaStream, StreamLostError
from rewardmesh.services.replicas import MAX_BATCHES, Replicas
from tests.services.patient import TOKEN, Replica, chosen, linked, parsed, running, told


async def test_a_stream_that_is_cut_tells_that_the_replica_lives_and_is_opened_anew() -> None:
    async with linked(Replica()) as replicas:
        stream = await chosen(replicas)
        call = asyncio.create_task(stream.score(told("5"), 10))
        await asyncio.sleep(0.1)
        stream._call.cancel()  # as a connection that breaks
        with pytest.raises(StreamLostError) as lost:
            await call
        assert (lost.value.died, lost.value.alone) == (False, True)
        again = await chosen(replicas)
        assert again is not stream
        assert parsed(await again.score(told("0"), 5)) == ["old: 0"]


IN_A_PROCESS = """
import asyncio
from tests.services.patient import Replica
async def main():
    print(await Replica().server.start("127.0.0.1"), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_replica_that_dies_is_told_from_a_stream_that_is_cut() -> None:
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IN_A_PROCESS, stdout=PIPE, cwd=root)
    assert process.stdout is not None
    replica = Replica()
    try:
        replica.address = (await process.stdout.readline()).decode().strip()
        async with linked(replica, start=False) as replicas:
            stream = await chosen(replicas)
            calls = [asyncio.create_task(stream.score(told("5"), 10)) for _ in range(2)]
            await asyncio.sleep(0.1)
            process.kill()
            for error in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(error, StreamLostError)
                assert (error.died, error.alone) == (True, False)
            assert await replicas.choose("patient", "old", 1) is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_replica_that_leaves_answers_what_it_has_and_gets_no_more() -> None:
    async with linked(old := Replica(), other := Replica(name="other")) as replicas:
        first = await chosen(replicas)
        call = asyncio.create_task(first.score(told("0.3"), 10))
        await asyncio.sleep(0.05)
        leaving, staying = (old, other) if old.began else (other, old)
        stopping = asyncio.create_task(leaving.server.stop(5))
        await asyncio.sleep(0.1)
        for _ in range(5):
            assert parsed(await (await chosen(replicas)).score(told("0"), 5)) == [f"{staying.name}: 0"]
        assert parsed(await call) == [f"{leaving.name}: 0.3"]
        async with asyncio.timeout(2):  # the router hung up: nothing keeps the server
            await stopping


async def test_streams_are_replaced_by_age_and_no_answer_is_lost() -> None:
    async with linked(Replica(), stream_seconds=0.1) as replicas:
        used: set[ReplicaStream] = set()

        async def client(number: int) -> None:
            for i in range(20):
                stream = await chosen(replicas)
                used.add(stream)
                assert parsed(await stream.score(told(f"0.03 {number}-{i}"), 5)) == [f"old: 0.03 {number}-{i}"]

        await asyncio.gather(*(client(i) for i in range(4)))
        assert len(used) > 3
        assert sum(stream.ended for stream in used) >= len(used) - 2


async def test_the_least_busy_replica_is_chosen_and_a_full_one_is_waited_for() -> None:
    async with linked(one := Replica(name="one"), two := Replica(name="two")) as replicas:

        async def call(*words: str) -> list[str | None]:
            return parsed(await (await chosen(replicas)).score(told(*words), 5))

        calls = [asyncio.create_task(call("0.5", "0", "0"))]
        await asyncio.sleep(0.1)
        calls += [asyncio.create_task(call("0.4", "0"))]
        await asyncio.sleep(0.1)
        assert {len(one.began), len(two.began)} == {2, 3}
        fewer = one if len(one.began) == 2 else two
        assert await call("0") == [f"{fewer.name}: 0"]
        await asyncio.gather(*calls)
        calls = [asyncio.create_task(call("0.2")) for _ in range(3 * MAX_BATCHES)]
        await asyncio.sleep(0.1)
        assert one.server.batches == two.server.batches == MAX_BATCHES
        assert len(await asyncio.gather(*calls)) == 3 * MAX_BATCHES
        waiting = [asyncio.create_task(call("1")) for _ in range(2 * MAX_BATCHES)]
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            await replicas.choose("patient", "old", 0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_a_replica_that_is_silent_gets_no_more_until_it_speaks() -> None:
    class Frozen(Replica):
        async def score(self, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
            return await super().score(batch, timeout) if self.began else await self.freeze(batch)

        async def freeze(self, batch: Sequence[Envelope]) -> list[Verdict]:
            self.began.append("frozen")
            await asyncio.sleep(60)
            return []

    async with linked(Frozen()) as replicas:
        stream = await chosen(replicas)
        with pytest.raises(TimeoutError):
            await stream.score(told("0"), 0.1)
        assert not stream.usable
        async with asyncio.timeout(5):
            while (again := await replicas.choose("patient", "old", 1)) is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert parsed(await again.score(told("0"), 5)) == ["old: 0"]


async def test_the_status_keeps_its_digest_while_it_can_be_had_and_follows_when_it_cannot() -> None:
    async with linked(old := Replica("old"), new := Replica("new")) as replicas:
        assert replicas.status("patient", "old") == old.status
        assert replicas.status("patient", "new") == new.status
        for _ in range(5):
            assert parsed(await (await chosen(replicas, "new")).score(told("0"), 5)) == ["new: 0"]
        assert old.began == []
        await old.server.stop(0)
        async with asyncio.timeout(5):
            while await replicas.choose("patient", "old", 1) is not None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert replicas.status("patient", "old") == new.status
        assert replicas.status("another", "old") is None


async def test_replicas_outlive_the_directory() -> None:
    replica = Replica()
    failing = False

    async def listing() -> list[Announcement]:
        if failing:
            raise ConnectionError("no directory")
        return [] if forgetful else [replica.announcement]

    forgetful = False
    async with running(replica):
        replicas = Replicas(listing, TOKEN)
        replicas.start()
        try:
            async with asyncio.timeout(5):
                while await replicas.choose("patient", "old", 1) is None:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            failing = True
            await asyncio.sleep(1.2)
            assert parsed(await (await chosen(replicas)).score(told("0"), 5)) == ["old: 0"]
            failing, forgetful = False, True
            await asyncio.sleep(1.2)
            assert parsed(await (await chosen(replicas)).score(told("0"), 5)) == ["old: 0"]
        finally:
            await replicas.close()
