"""Bare echoes to measure a router against, and the router itself, each in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import grpc
import grpc.aio

from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.server import Server
from rewardmesh.router.settings import Address, Settings
from rewardmesh.router.up import make_engine
from rewardmesh.services.heap import settle
from rewardmesh.v1 import reward_pb2 as pb

METHOD = "bench.Echo"
Start = Callable[[dict[str, Any]], Awaitable[tuple[int, Callable[[], Awaitable[None]]]]]


class Process:
    """A server in a child process; `port` once it answers. Ends with `close`, or with this process."""

    def __init__(self, start: Start, **settings: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(start, settings, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.port: int = self._pipe.recv()
        self.pid = self._process.pid

    def cpu(self) -> float:
        """CPU seconds the process has used."""
        self._pipe.send("cpu")
        return self._pipe.recv()

    def close(self) -> None:
        """Stops it."""
        self._pipe.close()
        self._process.join(30)


def _run(start: Start, settings: dict[str, Any], pipe: Connection) -> None:
    asyncio.run(_serve(start, settings, pipe))


async def _serve(start: Start, settings: dict[str, Any], pipe: Connection) -> None:
    port, stop = await start(settings)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def heard() -> None:
        try:
            pipe.recv()
            times = os.times()
            pipe.send(times.user + times.system)
        except (EOFError, OSError):
            loop.remove_reader(pipe.fileno())
            ended.set()

    pipe.send(port)
    loop.add_reader(pipe.fileno(), heard)
    await ended.wait()
    await stop()


async def router(settings: dict[str, Any]) -> tuple[int, Callable[[], Awaitable[None]]]:
    """A router as `rewardmesh up` runs it."""
    parsed = Settings.model_validate({"listen": "127.0.0.1:0", **settings})
    engine, cache = make_engine(parsed), ScoreCache(parsed.cache)
    server = Server(parsed, Pipeline(engine, parsed, Metrics(parsed.labels(), cache), cache))
    port = server.bind(Address.parse(parsed.listen)).port
    await cache.start()
    await engine.start()
    settle()
    await server.start()

    async def stop() -> None:
        await server.drain()
        await engine.close()
        await cache.close()

    return port, stop


async def tcp(_: dict[str, Any]) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Bytes back as they come, length first."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(4)
                writer.write(head + await reader.readexactly(int.from_bytes(head)))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()

    return server.sockets[0].getsockname()[1], stop


async def echo(_: dict[str, Any]) -> tuple[int, Callable[[], Awaitable[None]]]:
    """grpc.aio: unary and stream echoes of bytes, and a stream that answers rollouts with verdicts and does no more."""

    async def unary(request: bytes, _: Any) -> bytes:
        return request

    async def stream(requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            await context.write(request)

    async def verdicts(requests: AsyncIterator[pb.StreamRequest], context: Any) -> None:
        async for request in requests:
            response = pb.ScoreResponse(id=request.score.id)
            for rollout in request.score.rollouts:
                verdict = response.verdicts.add()
                verdict.id = rollout.id
                verdict.score.value = 1.0
            await context.write(response)

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
        "Verdicts": grpc.stream_stream_rpc_method_handler(
            verdicts, pb.StreamRequest.FromString, pb.ScoreResponse.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def stop() -> None:
        await server.stop(0)

    return port, stop
