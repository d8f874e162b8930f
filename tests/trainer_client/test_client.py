"""RewardClient against a real server that answers, breaks, falls silent and restarts."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from rewardmesh.contract import AnswerSpace, CountReference, Image, MathReference, Message, Rollout, UnavailableError
from rewardmesh.contract.greeting import MessageLimits
from rewardmesh.trainer_client.client import RewardClient, RewardInfo
from rewardmesh.trainer_client.stream import MAX_IN_FLIGHT

MAX_MESSAGE_BYTES, MAX_ROLLOUTS = MessageLimits()


def rollout(id: object, completion: str = "", **fields: Any) -> Rollout:
    return Rollout(id=str(id), completion=completion, **fields)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, and nobody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


async def test_one_verdict_per_rollout_in_order(server: Any) -> None:
    asked = [rollout(i, "late" if i % 7 == 0 else f"text {i}", task="t") for i in range(50)]
    async with RewardClient(server.target) as client:
        verdicts = await client.score(asked)
        assert [v.id for v in verdicts] == [r.id for r in asked]
        assert [v.score.explanation for v in verdicts if v.score] == [r.completion for r in asked]
        assert client.server_version == "9.9"


async def test_each_rollout_has_its_own_reference_whoever_shares_one(server: Any) -> None:
    three, four = CountReference(3), CountReference(4)
    references = [three, three, None, three, four, None, None, four]
    async with RewardClient(server.target) as client:
        await client.score([rollout(i, reference=reference) for i, reference in enumerate(references)])
    [request] = server.requests
    found = [CountReference(r.reference.count.count) if r.HasField("reference") else None for r in request.rollouts]
    assert found == references


async def test_no_rollouts_need_no_server(nobody: str) -> None:
    async with RewardClient(nobody) as client:
        assert await client.score([]) == []


async def test_many_rollouts_are_split(server: Any) -> None:
    asked = [rollout(i) for i in range(2 * MAX_ROLLOUTS + 1)]
    async with RewardClient(server.target) as client:
        verdicts = await client.score(asked)
    assert [v.id for v in verdicts] == [r.id for r in asked]
    assert [len(r.rollouts) for r in server.requests] == [MAX_ROLLOUTS, MAX_ROLLOUTS, 1]


async def test_large_rollouts_are_split_below_the_limit_of_a_message(server: Any) -> None:
    asked = [rollout(i, images=(Image(data=bytes(5 * 2**20)),)) for i in range(7)]
    async with RewardClient(server.target, pins={"math": "x" * 100}) as client:
        verdicts = await client.score(asked)
    assert all(v.score for v in verdicts)
    assert [len(r.rollouts) for r in server.requests] == [3, 3, 1]
    assert all(r.ByteSize() < MAX_MESSAGE_BYTES - 100 for r in server.requests)


async def test_a_rollout_over_the_limit_fails_here_and_its_neighbours_are_scored(server: Any) -> None:
    huge = rollout("huge", "x" * MAX_MESSAGE_BYTES)
    async with RewardClient(server.target) as client:
        before, verdict, after = await client.score([rollout(0), huge, rollout(1)])
    assert before.score
    assert after.score
    assert verdict.id == "huge"
    assert verdict.failure
    assert verdict.failure.kind == "too_large"
    assert not verdict.failure.retryable
    assert server.completions() == ["", ""]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (rollout("bad", "half a \ud83d character"), "invalid_rollout"),
        (rollout("\ud800"), "invalid_rollout"),
        (rollout("bad", metadata={"deep": ["\udfff"]}), "invalid_rollout"),
        (rollout("bad", metadata={"nan": float("nan")}), "invalid_rollout"),
        (rollout("bad", metadata={"what": object()}), "invalid_rollout"),
        (rollout("bad", step=2**63), "invalid_rollout"),
        (rollout("bad", prompt=(Message("user", "\ud800"),)), "invalid_rollout"),
        (rollout("bad", prompt=[{"role": "user", "content": "a plain dict"}]), "invalid_rollout"),
        (rollout("bad", answer_space=AnswerSpace("resized", input_size="wide")), "invalid_rollout"),  # type: ignore[arg-type]
        (rollout("bad", reference=MathReference(["\ud800"])), "invalid_reference"),
        (rollout("bad", reference=CountReference(2**63)), "invalid_reference"),
        (rollout("bad", reference={"type": "math", "answers": ["1"]}), "invalid_reference"),
    ],
)
async def test_what_cannot_be_encoded_fails_here_and_its_neighbours_are_scored(
    server: Any, bad: Rollout, kind: str
) -> None:
    async with RewardClient(server.target) as client:
        before, verdict, after = await client.score([rollout("a"), bad, rollout("b")])
    assert before.score
    assert after.score
    assert verdict.id == bad.id
    assert verdict.failure
    assert verdict.failure.kind == kind
    assert len(server.completions()) == 2


@pytest.mark.parametrize("broken", ["out of range", "unknown kind", "wrong id"])
async def test_a_verdict_that_cannot_be_read_is_a_failure_of_its_rollout_alone(server: Any, broken: str) -> None:
    async with RewardClient(server.target) as client:
        good, bad = await client.score([rollout("a"), rollout("b", broken)])
    assert good.score
    assert bad.failure
    assert (bad.id, bad.failure.kind) == ("b", "reward_error")


async def test_an_answer_of_the_wrong_length_is_believed_for_nobody(server: Any) -> None:
    async with RewardClient(server.target) as client:
        verdicts = await client.score([rollout("a"), rollout("b", "too few")])
    assert [v.id for v in verdicts] == ["a", "b"]
    assert [v.failure.kind for v in verdicts if v.failure] == ["reward_error", "reward_error"]


async def test_a_lost_stream_is_opened_again_and_what_was_unanswered_sent_again(server: Any) -> None:
    async with RewardClient(server.target) as client:
        texts = ["late", "kill once", "after"]
        answers = await asyncio.gather(*(client.score([rollout(t, t)]) for t in texts))
    assert [[v.id for v in verdicts if v.score] for verdicts in answers] == [["late"], ["kill once"], ["after"]]
    assert server.streams == 2
    assert server.completions().count("kill once") == 2


async def test_a_server_that_restarts_in_mid_run_loses_nothing(server: Any) -> None:
    async with RewardClient(server.target) as client:
        assert (await client.score([rollout("warm")]))[0].score
        waiting = [asyncio.create_task(client.score([rollout(i, "late")])) for i in range(20)]
        await server.until(lambda: server.completions().count("late") == 20)
        await server.stop()
        late = asyncio.create_task(client.score([rollout("asked while it was down")]))
        await asyncio.sleep(0.1)
        assert not late.done()
        await server.start()
        answers = await asyncio.gather(*waiting, late)
    assert all(len(verdicts) == 1 and verdicts[0].score for verdicts in answers)
    assert server.completions().count("late") == 40


async def test_an_absent_server_is_unavailable_and_named(nobody: str) -> None:
    async with RewardClient(nobody) as client:
        verdicts = await client.score([rollout("a"), rollout("b")], timeout=0.3)
        assert [v.id for v in verdicts] == ["a", "b"]
        for verdict in verdicts:
            assert verdict.failure
            assert (verdict.failure.kind, verdict.failure.retryable) == ("unavailable", True)
            assert nobody in verdict.failure.message


async def test_a_server_that_comes_late_is_found(nobody: str, server: Any) -> None:
    await server.stop()
    async with RewardClient(server.target) as client:
        asked = asyncio.create_task(client.score([rollout("a")]))
        await asyncio.sleep(0.2)
        await server.start()
        assert (await asked)[0].score


async def test_the_deadline_travels_and_is_kept_here_too(server: Any) -> None:
    async with RewardClient(server.target, timeout=0.2) as client:
        silent, answered = await asyncio.gather(
            client.score([rollout("a", "never")]), client.score([rollout("b", "late")], timeout=20)
        )
        assert (await client.score([rollout("c")]))[0].score
    assert silent[0].failure
    assert (silent[0].failure.kind, silent[0].failure.retryable) == ("timeout", True)
    assert answered[0].score
    assert server.streams == 1  # it had spoken since: slow, not dead
    limits = {r.rollouts[0].id: r.options.timeout_seconds for r in server.requests}
    assert 0 < limits["a"] <= 0.2
    assert 1 < limits["b"] <= 20


async def test_a_silent_stream_is_replaced(server: Any) -> None:
    async with RewardClient(server.target) as client:
        verdicts = await client.score([rollout("a", "never")], timeout=0.1)
        assert verdicts[0].failure
        assert (await client.score([rollout("b")]))[0].score
    assert server.streams == 2


async def test_pins_travel(server: Any) -> None:
    async with RewardClient(server.target, pins={"math": "abc"}) as client:
        await client.score([rollout("a")])
    assert dict(server.requests[0].options.pins) == {"math": "abc"}


async def test_cancelling_the_caller_reaches_the_server_and_nobody_else(server: Any) -> None:
    async with RewardClient(server.target) as client:
        doomed = asyncio.create_task(client.score([rollout("a", "never")]))
        await server.until(lambda: server.requests)
        neighbour = asyncio.create_task(client.score([rollout("b", "late")]))
        doomed.cancel()
        assert (await neighbour)[0].score
        await server.until(lambda: server.cancelled)
        assert server.cancelled == [r.id for r in server.requests if r.rollouts[0].id == "a"]
    with pytest.raises(asyncio.CancelledError):
        await doomed


async def test_what_was_never_sent_is_not_cancelled(server: Any) -> None:
    async with RewardClient(server.target) as client:
        await client.score([rollout("warm")])
        for turns in range(20):  # from not begun to sent
            doomed = asyncio.create_task(client.score([rollout(f"doomed {turns}", "never")]))
            for _ in range(turns):
                await asyncio.sleep(0)
            doomed.cancel()
        assert (await client.score([rollout("last")]))[0].score
    sent = {request.id for request in server.requests}
    assert 2 < len(sent) < 22
    assert set(server.cancelled) <= sent


async def test_64_callers_share_one_stream(server: Any) -> None:
    async def caller(name: int, client: RewardClient) -> None:
        rng = random.Random(name)
        for turn in range(10):
            asked = [rollout(f"{name}.{turn}.{i}", f"{name}") for i in range(rng.randrange(1, 20))]
            verdicts = await client.score(asked)
            assert [v.id for v in verdicts] == [r.id for r in asked]
            assert all(v.score and v.score.explanation == f"{name}" for v in verdicts)

    async with RewardClient(server.target) as client:
        await asyncio.gather(*(caller(name, client) for name in range(64)))
    assert server.streams == 1


async def test_messages_in_flight_are_bounded(server: Any) -> None:
    async with RewardClient(server.target) as client:
        # Of one task each: such share no messages.
        asked = [rollout(i, "never", task=f"task {i}") for i in range(MAX_IN_FLIGHT)]
        waiting = [asyncio.create_task(client.score([one])) for one in asked]
        await server.until(lambda: len(server.requests) == MAX_IN_FLIGHT)
        extra = await client.score([rollout("extra")], timeout=0.1)
        assert extra[0].failure
        assert extra[0].failure.kind == "timeout"
        waiting[0].cancel()
        assert (await client.score([rollout("next")]))[0].score
        for task in waiting:
            task.cancel()
    assert "extra" not in {r.rollouts[0].id for r in server.requests}


async def test_closing_answers_those_who_wait(server: Any) -> None:
    client = RewardClient(server.target)
    waiting = asyncio.create_task(client.score([rollout("a", "never")]))
    await server.until(lambda: server.requests)
    await client.close()
    for verdicts in (await waiting, await client.score([rollout("b")])):
        assert verdicts[0].failure
        assert verdicts[0].failure.kind == "unavailable"
        assert "closed" in verdicts[0].failure.message


async def test_rewards_are_listed(server: Any) -> None:
    async with RewardClient(server.target) as client:
        assert await client.rewards() == [RewardInfo("math", "1", "abc", ("math",), True)]


async def test_rewards_of_an_absent_server(nobody: str) -> None:
    async with RewardClient(nobody, timeout=0.2) as client:
        with pytest.raises(UnavailableError, match=nobody):
            await client.rewards()


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
async def test_timeouts_are_positive_numbers(nobody: str, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be"):
        RewardClient(nobody, timeout=timeout)
    with pytest.raises(ValueError, match="timeout must be"):
        await RewardClient(nobody).score([], timeout=timeout)


async def test_a_refused_connection_is_called_that(nobody: str) -> None:
    async with RewardClient(nobody, timeout=0.2) as client:
        [verdict] = await client.score([rollout("a")])
        assert verdict.failure
        assert "Connection refused" in verdict.failure.message
        with pytest.raises(UnavailableError, match=r"not reached within 0\.2 s: .*Connection refused"):
            await client.rewards()


async def test_what_is_no_rollout_is_a_type_error(server: Any) -> None:
    async with RewardClient(server.target) as client:
        with pytest.raises(TypeError, match=r"rollouts\[1\] must be a Rollout, got dict"):
            await client.score([rollout("a"), {"id": "1"}])  # type: ignore[list-item]
    assert not server.requests
