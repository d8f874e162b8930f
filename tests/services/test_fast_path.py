"""Streams to Ray Serve's replicas on a real cluster: found, killed under load, replaced, cut, and done without."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import grpc
import grpc.aio
import pytest
import pytest_asyncio
import ray
from ray import serve

from rewardmesh.contract import Rollout, Score, Verdict
from rewardmesh.contract.envelope import Envelope, batch_to_bytes
from rewardmesh.services.deployment import RewardReplica, application
from rewardmesh.services.directory import NAME, NAMESPACE, DirectoryClient
from rewardmesh.services.engine import Engine, RewardSpec
from rewardmesh.services.replica_door import Key
from rewardmesh.services.replicas import Replicas
from rewardmesh.services.serve import ServeEngine

SECONDS = 60.0  # more than any of these takes


def told(words: Sequence[str]) -> list[Envelope]:
    return [Envelope.seal(Rollout(id=str(i), completion=word, task="any")) for i, word in enumerate(words)]


def summary(verdicts: Sequence[Verdict]) -> list[str]:
    return [v.outcome.reason if isinstance(v.outcome, Score) else v.outcome.kind for v in verdicts]


def pids(verdicts: Sequence[Verdict]) -> set[int]:
    return {int(v.score.parsed) for v in verdicts if v.score and v.score.parsed}


def replicas_of(engine: ServeEngine) -> Replicas:
    assert engine._replicas is not None
    return engine._replicas


async def streams(engine: ServeEngine, reward: str = "hazard") -> int:
    """How many replicas of the digest that the status tells can be reached by stream."""
    return len(replicas_of(engine)._streams(reward, engine.status()[reward].digest))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            value = condition()
            if await value if asyncio.iscoroutine(value) else value:
                return
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def first(engine: Engine) -> ServeEngine:
    """The engine that every suite runs on."""
    if not isinstance(engine, ServeEngine):
        pytest.skip("there are no replicas without Ray Serve")
    return engine


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(first: ServeEngine) -> AsyncIterator[ServeEngine]:
    """Another router's engine on the same cluster, with two replicas of the hazard. It leaves the cluster as it is."""
    engine = ServeEngine([RewardSpec("hazard", replicas=2)])
    await engine.start()
    await until(lambda: _both(engine))
    yield engine
    await engine.close()
    assert ray.is_initialized()


async def _both(engine: ServeEngine) -> bool:
    return await streams(engine) == 2


class Load:
    """Batches of rollouts, one after the other from several callers, until told to stop."""

    def __init__(self, engine: ServeEngine, words: Sequence[str], callers: int = 6) -> None:
        self._engine = engine
        self._words = words
        self._stop = asyncio.Event()
        self.batches: list[list[Verdict]] = []
        self._callers = [asyncio.create_task(self._call()) for _ in range(callers)]

    async def _call(self) -> None:
        while not self._stop.is_set():
            self.batches.append(await self._engine.score("hazard", told(self._words), SECONDS))

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._callers)

    def assert_all_obeyed(self) -> None:
        assert len(self.batches) > 20
        for verdicts in self.batches:
            assert summary(verdicts) == ["obeyed"] * len(self._words)
            assert [v.id for v in verdicts] == [str(i) for i in range(len(self._words))]


async def test_every_reward_that_is_ready_is_reached_by_stream_on_loopback(first: ServeEngine) -> None:
    links = replicas_of(first)._links
    for name, status in first.status().items():
        if status.ready:
            assert await streams(first, name) == 1, name
            assert [link.announced.address.partition(":")[0] for link in links[name].values()] == ["127.0.0.1"]


async def test_another_router_finds_the_same_token_and_both_are_answered(first: ServeEngine, two: ServeEngine) -> None:
    assert replicas_of(first)._token == replicas_of(two)._token
    assert summary(await first.score("hazard", told(["fine"]), SECONDS)) == ["obeyed"]
    calls = [two.score("hazard", told(["sleep 0.1"]), SECONDS) for _ in range(4)]
    assert len(set.union(*map(pids, await asyncio.gather(*calls)))) == 2


async def test_a_replica_killed_under_load_costs_nobody_a_verdict(two: ServeEngine) -> None:
    await until(lambda: _both(two))
    load = Load(two, ["sleep 0.01", "fine", "fine", "fine"])
    await until(lambda: len(load.batches) > 20)
    before = pids([v for verdicts in load.batches for v in verdicts])
    os.kill(min(before), signal.SIGKILL)
    await until(lambda: len(load.batches) > 100)
    await load.stop()
    load.assert_all_obeyed()
    await until(lambda: _both(two))  # Serve has replaced it, and it was found


async def test_a_stream_cut_under_load_costs_nobody_a_verdict(two: ServeEngine) -> None:
    load = Load(two, ["sleep 0.01", "fine"])
    for _ in range(5):
        await asyncio.sleep(0.1)
        for stream in replicas_of(two)._streams("hazard", two.status()["hazard"].digest):
            stream._call.cancel()
    await load.stop()
    load.assert_all_obeyed()


async def test_a_directory_that_is_killed_is_missed_by_nobody_and_comes_back(two: ServeEngine) -> None:
    directory = ray.get_actor(NAME, NAMESPACE)
    token = await directory.token.remote()
    load = Load(two, ["fine"] * 4, callers=1)
    ray.kill(directory)

    async def is_back() -> bool:
        try:
            return len([a for a in await DirectoryClient().listing() if a.status.name == "hazard"]) == 2
        except (ValueError, ray.exceptions.RayError):
            return False

    await until(is_back)
    await load.stop()
    load.assert_all_obeyed()
    assert await DirectoryClient().token() == token


async def test_a_deployment_with_another_digest_is_followed_under_load(two: ServeEngine) -> None:
    old = two.status()["hazard"].digest
    spec = RewardSpec("hazard", replicas=2, sources={"another": {}})
    load = Load(two, ["sleep 0.01", "fine"], callers=2)
    key = Key(replicas_of(two)._token, "127.0.0.1")
    await asyncio.to_thread(partial(serve.run, application(spec, key), name="reward-hazard", route_prefix=None))
    new = spec.digest("1")
    await until(lambda: two.status()["hazard"].digest == new)
    count = len(load.batches)
    await until(lambda: len(load.batches) > count + 20)
    await load.stop()
    load.assert_all_obeyed()
    digests = [{v.digest for v in verdicts} for verdicts in load.batches]
    assert all(len(each) == 1 for each in digests)
    assert set.union(*digests) == {old, new}
    assert digests[-1] == {new}


async def test_a_poison_costs_only_itself_whatever_it_kills(two: ServeEngine) -> None:
    await until(lambda: _both(two))
    load = Load(two, ["sleep 0.01", "fine"], callers=2)
    await asyncio.sleep(0.2)
    assert summary(await two.score("hazard", told(["fine", "die", "fine"]), SECONDS)) == ["obeyed", "crashed", "obeyed"]
    await until(lambda: len(load.batches) > 30)
    await load.stop()
    load.assert_all_obeyed()


async def test_without_streams_batches_go_over_handles(first: ServeEngine) -> None:
    """Here because the router is told to, and there because replicas have no door."""
    slow = ServeEngine([RewardSpec("brevity")], fast=False)
    await slow.start()
    try:
        rollouts = told(["four", ""])
        expected = [v.score for v in await slow.score("brevity", rollouts, SECONDS)]
        assert None not in expected
        assert [v.outcome for v in await first.score("brevity", rollouts, SECONDS)] == expected
        assert slow._replicas is None
        await until(lambda: _none(first))
        digest = slow.status()["brevity"].digest
        assert {v.digest for v in await first.score("brevity", rollouts, SECONDS)} == {digest}
        assert "brevity" not in [a.status.name for a in await DirectoryClient().listing()]
    finally:
        await slow.close()


async def _none(engine: ServeEngine) -> bool:
    return await streams(engine, "brevity") == 0


async def test_a_replica_counts_its_batches_for_autoscaling() -> None:
    class Unserved(RewardReplica):
        def __del__(self) -> None:
            """Serve, which would await the real one, is not here."""

    replica = Unserved.__new__(Unserved)
    await replica.__init__(RewardSpec("patient_hazard"))  # as Serve does
    batch = [Envelope.seal(Rollout(id="0", completion="sleep 0.2"))]
    call = asyncio.create_task(replica.score(batch_to_bytes(batch, 5.0)))
    await asyncio.sleep(0.05)
    assert await replica.record_autoscaling_stats() == {"running_requests": 1.0}
    await call
    assert await replica.record_autoscaling_stats() == {"running_requests": 0.0}


def test_a_cluster_started_here_demands_its_token_whatever_the_environment_says() -> None:
    # Ray's names for the modes are numbers: 0 is disabled, 1 is token.
    code = (
        "import ray; from ray._raylet import get_authentication_mode as mode; before = mode();"
        "from rewardmesh.services import cluster; cluster._demand_token();"
        "import os; print(before, mode(), len(os.environ['RAY_AUTH_TOKEN']))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RAY_AUTH_TOKEN"} | {"RAY_AUTH_MODE": "disabled"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "1", "64"]


@pytest.mark.parametrize("shown", ["", "Bearer " + "f" * 64, "its own"])
async def test_a_stranger_is_refused_by_the_cluster(first: ServeEngine, shown: str) -> None:
    assert first.status()
    metadata = [("authorization", shown.replace("its own", f"Bearer {os.environ['RAY_AUTH_TOKEN']}"))]
    async with grpc.aio.insecure_channel(ray.get_runtime_context().gcs_address) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo")
        if shown == "its own":
            assert await ask(b"", metadata=metadata, timeout=SECONDS)
            return
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(b"", metadata=metadata, timeout=SECONDS)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
