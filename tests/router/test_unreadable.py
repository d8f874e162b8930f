"""Messages of clients in other languages, whose strings may be anything."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

from rewardmesh.v1 import reward_pb2 as pb
from tests.router.conftest import Router

GOOD, BAD = (
    pb.Rollout(id=id, completion="3", reference=pb.Reference(count=pb.CountReference(count=3))) for id in ("a", "¿")
)


def latin_1(request: Any) -> bytes:
    """The message as a client of another language may send it, with strings that are not UTF-8."""
    return request.SerializeToString().replace("¿".encode(), b"\xbf\xbf")


def method(router: Router, name: str) -> Any:
    path = f"/rewardmesh.v1.RewardService/{name}"
    if name == "ScoreStream":
        return router.channel.stream_stream(path, latin_1, pb.ScoreResponse.FromString)
    return router.channel.unary_unary(path, latin_1)


async def check_refused(call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "a string in it is not UTF-8" in (caught.value.details() or "")


@pytest.mark.parametrize(("name", "request_"), [("Score", pb.ScoreRequest), ("Classify", pb.ClassifyRequest)])
async def test_a_string_that_is_not_utf8_is_the_clients_error(
    router: Router, name: str, request_: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await check_refused(method(router, name)(request_(rollouts=[GOOD, BAD])))
    await method(router, name)(request_(rollouts=[GOOD]))
    assert not caplog.records


async def test_on_a_stream_it_ends_the_stream(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    stream = method(router, "ScoreStream")()
    await stream.write(pb.StreamRequest(score=pb.ScoreRequest(id=1, rollouts=[GOOD])))
    response = await stream.read()
    assert (response.id, response.verdicts[0].score.value) == (1, 1.0)
    await stream.write(pb.StreamRequest(score=pb.ScoreRequest(id=2, rollouts=[GOOD, BAD])))
    await check_refused(stream.read())
    assert not caplog.records
