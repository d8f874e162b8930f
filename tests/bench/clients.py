"""The clients of the bare echoes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import grpc.aio

from rewardmesh.v1 import reward_pb2 as pb
from tests.bench import echoes


class Echo:
    """The grpc.aio echoes; streams are shared by any number of callers, answered in order."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        method = f"/{echoes.METHOD}/"
        self._unary = channel.unary_unary(method + "Unary")
        self._streams = {
            "Stream": Ordered(channel.stream_stream(method + "Stream")()),
            "Verdicts": Ordered(
                channel.stream_stream(
                    method + "Verdicts", pb.StreamRequest.SerializeToString, pb.ScoreResponse.FromString
                )()
            ),
        }

    @classmethod
    async def open(cls, port: int) -> Echo:
        return cls(grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)]))

    async def unary(self, data: bytes) -> object:
        return await cast(Awaitable[object], self._unary(data))

    async def stream(self, data: bytes) -> object:
        return await self._streams["Stream"].call(data)

    async def verdicts(self, request: pb.StreamRequest) -> pb.ScoreResponse:
        return await self._streams["Verdicts"].call(request)

    async def close(self) -> None:
        await self._channel.close()


class Ordered:
    """A stream whose answers come in the order of what was asked."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._turn = asyncio.Lock()
        self._waiting: list[asyncio.Future[Any]] = []
        self._reader: asyncio.Task[None] | None = None

    async def call(self, request: Any) -> Any:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        async with self._turn:  # gRPC takes one write at a time
            self._waiting.append(future)
            await self._call.write(request)
        return await future

    async def _read(self) -> None:
        answers: AsyncIterator[Any] = aiter(self._call)
        async for answer in answers:
            self._waiting.pop(0).set_result(answer)


class Tcp:
    """The raw echo, one connection per caller at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @classmethod
    async def open(cls, port: int) -> Tcp:
        return cls(port)

    async def call(self, data: bytes) -> bytes:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(len(data).to_bytes(4) + data)
        head = await reader.readexactly(4)
        answer = await reader.readexactly(int.from_bytes(head))
        self._idle.append((reader, writer))
        return answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
