"""Runs blocking code beside an event loop such that its sums have the same bits each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


async def alone(function: Callable[..., T], *arguments: object) -> T:
    """What the function returns, from a thread of its own with one of torch's.

    Torch counts its threads for each thread apart, as they were set when that first computed: on the threads of a pool,
    which others have used, the sums of two runs may differ in their last bits.
    """

    def run() -> T:
        torch.set_num_threads(1)
        return function(*arguments)

    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, run)
