"""A bare Ray Serve handle call, as its users make it: a no-op deployment, the default options, bytes there and back."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

WARM_CALLS = 200


def latencies(data: bytes, seconds: float) -> list[float]:
    """Seconds of one call after another, in a process with a Ray cluster of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, data, seconds))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def _run(pipe: Connection, data: bytes, seconds: float) -> None:
    from ray import serve

    from rewardmesh.services.cluster import join, leave, start_serve

    class Echo:
        async def __call__(self, data: bytes) -> bytes:
            return data

    join()
    start_serve()
    handle: Any = serve.run(serve.deployment(Echo).bind(), name="echo", route_prefix=None)  # pyright: ignore[reportArgumentType] - a class, as Serve wants
    pipe.send(asyncio.run(_calls(handle, data, seconds)))
    leave()


async def _calls(handle: Any, data: bytes, seconds: float) -> list[float]:
    for _ in range(WARM_CALLS):
        await handle.remote(data)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await handle.remote(data)
        times.append(time.perf_counter() - began)
    return times
