"""SyncRewardClient: from several threads, after a fork, pickled."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rewardmesh.contract import Rollout, UnavailableError
from rewardmesh.trainer_client.client import RewardClient, RewardInfo
from rewardmesh.trainer_client.helper import HelperProcess
from rewardmesh.trainer_client.sync import SyncRewardClient


def rollouts(name: object, count: int = 3, completion: str = "") -> list[Rollout]:
    return [Rollout(id=f"{name}.{i}", completion=completion) for i in range(count)]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rewardmesh")]


async def python(script: str, *args: str) -> str:
    """What a program of its own prints; the server meanwhile runs on this loop."""
    command = [sys.executable, "-c", script, *args]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_same_answers_as_the_async_client(server: Any) -> None:
    def use() -> None:
        with SyncRewardClient(server.target) as client:
            asked = rollouts("a")
            verdicts = client.score(asked)
            assert [v.id for v in verdicts] == [r.id for r in asked]
            assert all(v.score for v in verdicts)
            assert client.rewards() == [RewardInfo("math", "1", "abc", ("math",), True)]
            assert client.score(rollouts("b", 1, "never"), timeout=0.1)[0].failure

    await asyncio.to_thread(use)
    assert threads() == []


async def test_threads_share_one_stream(server: Any) -> None:
    def use(name: int) -> None:
        for turn in range(5):
            asked = rollouts(f"{name}.{turn}")
            assert [v.id for v in client.score(asked) if v.score] == [r.id for r in asked]

    with ThreadPoolExecutor(16) as pool, SyncRewardClient(server.target) as client:
        await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, use, name) for name in range(16)))
    assert server.streams == 1


async def test_closing_answers_those_who_wait_and_a_later_call_connects_anew(server: Any) -> None:
    client = SyncRewardClient(server.target)
    waiting = asyncio.create_task(asyncio.to_thread(client.score, rollouts("a", 1, "never")))
    await server.until(lambda: server.requests)
    await asyncio.to_thread(client.close)
    failure = (await waiting)[0].failure
    assert failure
    assert failure.kind == "unavailable"
    assert (await asyncio.to_thread(client.score, rollouts("b")))[0].score
    await asyncio.to_thread(client.close)
    client.close()
    assert threads() == []


async def test_pickled_it_connects_anew(server: Any) -> None:
    with SyncRewardClient(server.target, timeout=5, pins={"math": "abc"}) as client:
        await asyncio.to_thread(client.score, rollouts("a"))
        with pickle.loads(pickle.dumps(client)) as copy:
            assert (await asyncio.to_thread(copy.score, rollouts("b")))[0].score
    assert server.streams == 2
    assert dict(server.requests[-1].options.pins) == {"math": "abc"}
    assert server.requests[-1].options.timeout_seconds <= 5


def test_wrong_options_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="timeout"):
        SyncRewardClient("127.0.0.1:1", timeout=0)


FORK = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from rewardmesh.contract import Rollout
from rewardmesh.trainer_client.sync import SyncRewardClient

client = SyncRewardClient(sys.argv[1])

def use(name):
    assert client.score([Rollout(id=name, completion="")])[0].score
    return os.getpid()

parent = use("before")
with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
    children = set(pool.map(use, [f"child {i}" for i in range(8)]))
assert parent not in children
assert use("after") == parent
client.close()
print(len(children))
"""


async def test_forked_children_start_afresh_and_the_parent_goes_on(server: Any) -> None:
    children = int(await python(FORK, server.target))
    assert children >= 1
    assert server.streams == 1 + children
    assert len(server.requests) == 10


FORK_UNUSED = """
import os, sys, time
from rewardmesh.contract import Rollout
from rewardmesh.trainer_client.sync import SyncRewardClient

client = SyncRewardClient(sys.argv[1])
client.score([Rollout(id="before", completion="")])
children = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        time.sleep(0.3)  # long enough for a woken thread of gRPC to crash
        os._exit(0)
    children.append(child)
    assert client.score([Rollout(id="between", completion="")])[0].score
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
client.close()
"""


async def test_children_that_never_use_it_are_not_harmed(server: Any) -> None:
    await python(FORK_UNUSED, server.target)


UNCLOSED = """
import sys
from rewardmesh.contract import Rollout
from rewardmesh.trainer_client.sync import SyncRewardClient

print(SyncRewardClient(sys.argv[1]).score([Rollout(id="a", completion="")])[0].score.value)
"""


async def test_a_client_that_is_never_closed_does_not_keep_the_program(server: Any) -> None:
    assert await python(UNCLOSED, server.target) == "1.0\n"


async def test_a_helper_does_what_the_thread_does(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")  # else the helper tells our output that the server is stopped
    helper = HelperProcess({"target": server.target, "timeout": 2.0})
    slow, fast = helper.submit("score", rollouts("a", 2, "late")), helper.submit("score", rollouts("b", 2))
    for future, name in ((slow, "a"), (fast, "b")):
        assert [v.id for v in await asyncio.wrap_future(future) if v.score] == [f"{name}.0", f"{name}.1"]
    helper_listing = await asyncio.wrap_future(helper.submit("rewards"))
    assert helper_listing == [RewardInfo("math", "1", "abc", ("math",), True)]
    await server.stop()
    with pytest.raises(UnavailableError):
        await asyncio.wrap_future(helper.submit("rewards"))
    await asyncio.to_thread(helper.close)
    assert threads() == []


async def test_a_helper_that_dies_is_replaced(server: Any) -> None:
    client = SyncRewardClient(server.target)
    doomed = client._runner = HelperProcess({"target": server.target})
    waiting = asyncio.create_task(asyncio.to_thread(client.score, rollouts("a", 2, "never")))
    await server.until(lambda: server.requests)
    os.kill(doomed._process.pid, signal.SIGKILL)
    verdicts = await waiting
    assert [(v.id, v.failure.kind, v.failure.retryable) for v in verdicts if v.failure] == [
        ("a.0", "unavailable", True),
        ("a.1", "unavailable", True),
    ]
    assert doomed._process.returncode == -signal.SIGKILL
    assert (await asyncio.to_thread(client.score, rollouts("b")))[0].score
    await asyncio.to_thread(client.close)


FORK_WITH_THREADS = """
import os, sys, threading
from rewardmesh.contract import Rollout
from rewardmesh.trainer_client.sync import SyncRewardClient

client = SyncRewardClient([sys.argv[1]], hedge_after_seconds=1.0)
stop = threading.Event()

def use(name):
    assert all(v.score for v in client.score([Rollout(id=f"{name}.{i}", completion="") for i in range(3)]))

def go_on(name):
    while not stop.is_set():
        use(name)

use("before")
threads = [threading.Thread(target=go_on, args=(f"thread {i}",)) for i in range(8)]
for thread in threads:
    thread.start()
child = os.fork()  # while others are in the midst of it
if child == 0:
    grown = [threading.Thread(target=use, args=(f"child {i}",)) for i in range(4)]
    for thread in grown:
        thread.start()
    for thread in grown:
        thread.join()
    grandchild = os.fork()
    use("after the second fork")
    if grandchild:
        assert os.waitpid(grandchild, 0)[1] == 0
    client.close()
    os._exit(0)
status = os.waitpid(child, 0)[1]
stop.set()
for thread in threads:
    thread.join()
use("after")
client.close()
assert status == 0
print("done")
"""


async def test_a_fork_in_the_midst_of_calls_is_safe_for_both(server: Any) -> None:
    assert await python(FORK_WITH_THREADS, server.target) == "done\n"
    names = {rollout.id.split(".")[0] for request in server.requests for rollout in request.rollouts}
    assert names >= {"before", "child 0", "child 3", "after the second fork", "after"}


async def test_the_async_client_is_pickled_as_its_configuration(server: Any) -> None:
    options: dict[str, Any] = {"timeout": 5, "pins": {"math": "abc"}, "hedge_after_seconds": 2.0}
    async with RewardClient([server.target, "127.0.0.1:1"], **options) as client:
        assert (await client.score(rollouts("a")))[0].score
        async with pickle.loads(pickle.dumps(client)) as copy:
            assert copy.__getstate__() == client.__getstate__()
            assert copy.target == f"{server.target},127.0.0.1:1"
            assert (await copy.score(rollouts("b")))[0].score
    assert server.streams == 2


async def test_threads_share_messages(server: Any) -> None:
    start = threading.Barrier(32)

    def use(name: int) -> None:
        start.wait()
        for turn in range(10):
            asked = rollouts(f"{name}.{turn}")
            assert [v.id for v in client.score(asked) if v.score] == [r.id for r in asked]

    with ThreadPoolExecutor(32) as pool, SyncRewardClient(server.target) as client:
        await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, use, name) for name in range(32)))
    assert len(server.requests) < 320


async def test_what_is_submitted_is_answered_as_it_comes(server: Any) -> None:
    with SyncRewardClient(server.target) as client:
        unanswered = client.submit(rollouts("slow", 2, "never"))
        await server.until(lambda: server.requests)
        fast = client.submit(rollouts("fast", 2))
        assert [v.id for v in await asyncio.wrap_future(fast) if v.score] == ["fast.0", "fast.1"]
        assert not unanswered.done()
        with pytest.raises(TypeError, match="must be a Rollout"):
            await asyncio.wrap_future(client.submit([None]))  # type: ignore[list-item]


async def test_cancelling_what_was_submitted_cancels_the_call(server: Any) -> None:
    with SyncRewardClient(server.target) as client:
        waiting = client.submit(rollouts("a", 1, "never"))
        await server.until(lambda: server.requests)
        assert waiting.cancel()
        await server.until(lambda: server.cancelled)
        unanswered = client.submit(rollouts("b", 1, "never"))
        await server.until(lambda: len(server.requests) > 1)
    failure = (await asyncio.wrap_future(unanswered))[0].failure  # the client was closed
    assert failure
    assert failure.kind == "unavailable"


async def test_what_was_submitted_to_a_helper_that_dies_is_answered_and_the_next_works(server: Any) -> None:
    client = SyncRewardClient(server.target)
    doomed = client._runner = HelperProcess({"target": server.target})
    waiting = client.submit(rollouts("a", 2, "never"))
    await server.until(lambda: server.requests)
    os.kill(doomed._process.pid, signal.SIGKILL)
    assert [v.failure.kind for v in await asyncio.wrap_future(waiting) if v.failure] == ["unavailable"] * 2
    again = await asyncio.to_thread(client.submit, rollouts("b"))
    assert all(v.score for v in await asyncio.wrap_future(again))
    await asyncio.to_thread(client.close)
