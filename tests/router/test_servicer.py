"""The router as a raw gRPC client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.server import BindError, Server
from rewardmesh.router.settings import Address, Settings
from rewardmesh.router.stream import MAX_IN_FLIGHT
from rewardmesh.services.engine import Engine
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1.reward_pb2_grpc import RewardServiceStub

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def count(id: str, answer: object = 3) -> pb.Rollout:
    reference = pb.Reference(count=pb.CountReference(count=3))
    return pb.Rollout(id=id, completion=str(answer), reference=reference, source="zoo")


def sleep(id: str, seconds: float) -> pb.Rollout:
    return pb.Rollout(id=id, completion=f"sleep {seconds}", task="patient_hazard")


def message(id: int, *rollouts: pb.Rollout, timeout: float = 60) -> pb.StreamRequest:
    options = pb.ScoreOptions(timeout_seconds=timeout)
    return pb.StreamRequest(score=pb.ScoreRequest(id=id, rollouts=rollouts, options=options))


def kinds(response: pb.ScoreResponse) -> list[str]:
    return [v.failure.kind or "score" for v in response.verdicts]


def in_flight(router: Any) -> float:
    return next(
        s.value for m in router.metrics.collect() for s in m.samples if s.name == "rewardmesh_rollouts_in_flight"
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - gauges cannot be awaited
            await asyncio.sleep(0.005)


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_score_answers_in_order_and_tells_its_version(router: Any) -> None:
    call = router.stub.Score(pb.ScoreRequest(id=7, rollouts=[count("a"), count("b", 4), pb.Rollout(id="c")]))
    response = await call
    assert response.id == 7
    assert [v.id for v in response.verdicts] == ["a", "b", "c"]
    assert [v.score.value for v in response.verdicts[:2]] == [1.0, 0.0]
    assert kinds(response)[2] == "unclassified"
    assert dict(await call.initial_metadata())["rewardmesh-version"]


async def test_a_stream_answers_out_of_order_and_to_the_end(router: Any) -> None:
    call = router.stub.ScoreStream()
    await call.write(message(1, sleep("slow", 1)))
    await call.write(message(2, count("quick")))
    assert dict(await call.initial_metadata())["rewardmesh-version"]
    assert (await call.read()).id == 2
    await call.write(message(3, sleep("late", 0.1)))
    await call.done_writing()  # what is in flight is still answered
    rest = [await call.read(), await call.read()]
    assert await call.read() is grpc.aio.EOF  # pyright: ignore[reportAttributeAccessIssue] - exported at run time
    assert sorted(response.id for response in rest) == [1, 3]
    assert all(kinds(response) == ["score"] for response in rest)
    assert await call.code() == grpc.StatusCode.OK


async def test_a_message_is_cancelled_by_its_id(router: Any) -> None:
    call = router.stub.ScoreStream()
    await call.write(pb.StreamRequest(cancel=99))  # nobody's id
    await call.write(message(1, sleep("a", 600), sleep("b", 600)))
    await call.write(message(2, sleep("c", 0.2)))
    await call.write(pb.StreamRequest(cancel=1))
    first = await call.read()
    assert (first.id, kinds(first)) == (1, ["cancelled", "cancelled"])
    assert [v.id for v in first.verdicts] == ["a", "b"]
    second = await call.read()
    assert (second.id, kinds(second)) == (2, ["score"])
    await until(lambda: in_flight(router) == 0)
    call.cancel()


@pytest.mark.parametrize("how", ["cancel the call", "close the channel"])
async def test_a_client_that_goes_leaves_nothing_behind(router: Any, how: str) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.insecure_channel(str(router.address), options)
    stub: Any = type(router.stub)(channel)
    stream = stub.ScoreStream()
    await stream.write(message(1, sleep("a", 600)))
    unary = stub.Score(pb.ScoreRequest(rollouts=[sleep("b", 600)], options=pb.ScoreOptions(timeout_seconds=600)))
    waiting = asyncio.ensure_future(unary)
    await until(lambda: in_flight(router) == 2)
    if how == "cancel the call":
        stream.cancel()
        unary.cancel()
    await channel.close()
    await until(lambda: in_flight(router) == 0)
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_flood_waits_in_the_clients_buffers(router: Any) -> None:
    call = router.stub.ScoreStream()
    total = MAX_IN_FLIGHT + 40
    peak = 0.0

    async def flood() -> None:
        for i in range(total):
            await call.write(message(i, sleep(str(i), 0.3)))
        await call.done_writing()

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, in_flight(router))
            await asyncio.sleep(0.002)

    writing, watching = asyncio.create_task(flood()), asyncio.create_task(watch())
    answered = [response.id async for response in call]
    watching.cancel()
    await writing
    assert sorted(answered) == list(range(total))
    assert peak == MAX_IN_FLIGHT


async def test_a_client_that_does_not_read_stops_being_served(router: Any) -> None:
    call = router.stub.ScoreStream()
    big = [count(f"{i:0>4000}") for i in range(250)]  # an answer of a megabyte, for the ids it repeats

    async def flood() -> None:
        for i in range(500):
            await call.write(message(i, *big))

    writing = asyncio.create_task(flood())
    seen = -1.0

    def scored() -> float:
        samples = [s for m in router.metrics.collect() for s in m.samples]
        return sum(s.value for s in samples if s.name == "rewardmesh_outcomes_total")

    async with asyncio.timeout(60):
        while seen != scored():  # it comes to rest while the client still has messages to send
            seen = scored()
            await asyncio.sleep(1)
    assert not writing.done()
    assert seen <= 250 * (MAX_IN_FLIGHT + 20)  # in flight, and what fits into the buffers on the way
    writing.cancel()
    call.cancel()


async def test_a_message_over_the_limit_is_resource_exhausted(router: Any) -> None:
    request = pb.ScoreRequest(rollouts=[count("a", "x" * (9 * 2**20))])
    assert await code_of(router.stub.Score(request)) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert kinds(await router.stub.Score(pb.ScoreRequest(rollouts=[count("a")]))) == ["score"]


async def test_too_many_rollouts_are_answered_one_by_one(router: Any) -> None:
    response = await router.stub.Score(pb.ScoreRequest(rollouts=[count(str(i)) for i in range(1025)]))
    assert kinds(response) == ["too_large"] * 1025


async def test_a_deadline_of_a_millisecond(router: Any) -> None:
    rollouts = [*(count(str(i)) for i in range(200)), sleep("slow", 600)]
    options = pb.ScoreOptions(timeout_seconds=0.001)
    response = await router.stub.Score(pb.ScoreRequest(rollouts=rollouts, options=options))
    assert [v.id for v in response.verdicts] == [r.id for r in rollouts]
    assert set(kinds(response)) <= {"score", "timeout"}
    assert kinds(response)[-1] == "timeout"
    rollouts[-1] = sleep("quick", 0)
    response = await router.stub.Score(pb.ScoreRequest(rollouts=rollouts))  # the rewards are none the worse
    assert kinds(response) == ["score"] * 201


async def test_the_quick_are_scored_before_the_deadline_of_the_slow(router: Any) -> None:
    call = router.stub.ScoreStream()
    await call.write(message(1, *(count(str(i)) for i in range(100)), sleep("slow", 600), count("last"), timeout=1))
    response = await call.read()
    assert kinds(response) == ["score"] * 100 + ["timeout", "score"]
    call.cancel()


async def test_a_pin_that_does_not_match(router: Any) -> None:
    options = pb.ScoreOptions(pins={"counting": "0ld"})
    response = await router.stub.Score(pb.ScoreRequest(rollouts=[count("a")], options=options))
    assert kinds(response) == ["unavailable"]


async def test_a_stream_request_without_a_body(router: Any) -> None:
    call = router.stub.ScoreStream()
    await call.write(pb.StreamRequest())
    assert await code_of(call.read()) == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_stream_request_without_a_body_cancels_what_is_in_flight(router: Any) -> None:
    call = router.stub.ScoreStream()
    await call.write(message(1, sleep("a", 600), timeout=600))
    await until(lambda: in_flight(router) == 1)
    await call.write(pb.StreamRequest())
    assert await code_of(call.read()) == grpc.StatusCode.INVALID_ARGUMENT
    await until(lambda: in_flight(router) == 0)


async def test_classify_says_why(router: Any) -> None:
    rollouts = [count("a"), pb.Rollout(id="b", task="poetry"), pb.Rollout(id="c", source="lost")]
    first, second, third = (await router.stub.Classify(pb.ClassifyRequest(rollouts=rollouts))).classifications
    assert (first.id, first.task, first.reward, first.why) == ("a", "counting", "counting", "source 'zoo'")
    assert not first.HasField("failure")
    assert (second.id, second.task, second.failure.kind) == ("b", "poetry", "unknown_reward")
    assert (third.id, third.task, third.failure.kind) == ("c", "nobody", "unknown_reward")


async def test_list_rewards(router: Any) -> None:
    rewards = {r.name: r for r in (await router.stub.ListRewards(pb.ListRewardsRequest())).rewards}
    assert rewards["counting"].ready
    assert list(rewards["counting"].tasks) == ["counting"]
    assert rewards["counting"].digest
    assert not rewards["unloadable"].ready
    assert "no_such_module" in rewards["unloadable"].detail


async def test_health_is_per_reward(router: Any) -> None:
    stub: Any = health_pb2_grpc.HealthStub(router.channel)

    async def status(service: str) -> int:
        return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status

    assert await status("") == SERVING
    assert await status("rewardmesh.v1.RewardService") == SERVING
    assert await status("rewardmesh.rewards.counting") == SERVING
    assert await status("rewardmesh.rewards.unloadable") == NOT_SERVING
    unknown = stub.Check(health_pb2.HealthCheckRequest(service="rewardmesh.rewards.nobody"))
    assert await code_of(unknown) == grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_service(router: Any) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(router.channel)

    async def ask() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for answer in stub.ServerReflectionInfo(ask()):
        assert "rewardmesh.v1.RewardService" in [s.name for s in answer.list_services_response.service]


async def test_draining_finishes_what_is_in_flight(engine: Engine) -> None:
    settings, metrics = Settings(listen="127.0.0.1:0", drain_seconds=60), Metrics()
    server = Server(settings, Pipeline(engine, settings, metrics))

    address = server.bind(Address.parse(settings.listen))
    await server.start()
    async with grpc.aio.insecure_channel(str(address), [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub: Any = RewardServiceStub(channel)
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="rewardmesh.rewards.counting"))
        assert (await watch.read()).status == SERVING
        idle, busy = stub.ScoreStream(), stub.ScoreStream()
        await idle.write(message(1, count("a")))
        assert (await idle.read()).id == 1
        await busy.write(message(2, sleep("b", 1)))
        unary = asyncio.ensure_future(stub.Score(pb.ScoreRequest(rollouts=[sleep("c", 1)])))

        def busy_now() -> bool:
            samples = (s for m in metrics.collect() for s in m.samples)
            return any(s.name == "rewardmesh_rollouts_in_flight" and s.value == 2 for s in samples)

        await until(busy_now)
        draining = asyncio.create_task(server.drain())
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        assert await code_of(idle.read()) == grpc.StatusCode.UNAVAILABLE
        assert kinds(await busy.read()) == ["score"]
        assert await code_of(busy.read()) == grpc.StatusCode.UNAVAILABLE
        assert kinds(await unary) == ["score"]
        await draining
        assert await code_of(stub.Score(pb.ScoreRequest())) == grpc.StatusCode.UNAVAILABLE


async def test_a_taken_port_is_an_error(router: Any, engine: Engine) -> None:
    settings = Settings()
    second = Server(settings, Pipeline(engine, settings, Metrics()))
    with pytest.raises(BindError, match=f"cannot listen on 127.0.0.1:{router.address.port}"):
        second.bind(router.address)
