"""The pool's end of a zygote: starts it, asks it for workers, learns how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass

from rewardmesh.contract.errors import UnavailableError
from rewardmesh.services.engine import RewardSpec

# The zygote imports the reward; sympy takes 2 s, on a loaded machine several times that.
START_SECONDS = 120.0


@dataclass(slots=True)
class Worker:
    """A forked worker: its process id, the two ends of its socket, and where it came from."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    home: Nursery
    number: int | None = None

    async def ended(self) -> int:
        """Waits until it has ended; the signal that ended it, 0 for none."""
        self.writer.close()
        if self.number is None:
            self.number = await self.home.ended(self.pid)
        return self.number

    async def kill(self) -> int:
        """Ends it, whatever it is doing; the signal that ended it, which may be an earlier one."""
        if self.number is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return await self.ended()


class Nursery:
    """One zygote process and the workers it forked."""

    def __init__(self, spec: RewardSpec) -> None:
        self._spec = spec
        self._forked: asyncio.Queue[int] = asyncio.Queue()
        self._ended: defaultdict[int, asyncio.Future[int]] = defaultdict(asyncio.get_running_loop().create_future)
        self._forking = asyncio.Lock()
        self._unwanted: set[asyncio.Task[int]] = set()

    async def start(self) -> None:
        """Starts the zygote; one that does not get ready is ended again.

        Raises:
            UnavailableError: It cannot load the reward; with its words.
        """
        ours, theirs = socket.socketpair()
        fd = theirs.fileno()
        command = [sys.executable, "-m", "rewardmesh.services.zygote", str(fd)]
        spec = json.dumps(asdict(self._spec))
        # A session of its own: Ctrl-C in a terminal reaches the router, which then ends its zygotes in order.
        self._process = subprocess.Popen([*command, spec], pass_fds=[fd], start_new_session=True)  # noqa: ASYNC220 - returns after the fork; nothing to wait for
        theirs.close()
        self._control = ours
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
            word, _, rest = (await asyncio.wait_for(self._line(), START_SECONDS)).partition(" ")
            if word != "ready":
                raise UnavailableError(f"its worker processes cannot start: {rest or 'the zygote died'}")
        except BaseException as error:
            self._process.kill()
            await self.close()
            if isinstance(error, TimeoutError):
                raise UnavailableError(f"its worker processes did not start in {START_SECONDS:.0f} s") from None
            raise
        self._listener = asyncio.create_task(self._listen())

    @property
    def alive(self) -> bool:
        """Whether it can still fork workers."""
        return not self._listener.done()

    async def fork(self) -> Worker:
        """A fresh worker. Raises UnavailableError when the zygote is gone."""
        # Shielded: a caller that gives up must not leave its answer to the next one, who would take it for its own.
        forking = asyncio.ensure_future(self._fork())
        try:
            return await asyncio.shield(forking)
        except asyncio.CancelledError:
            forking.add_done_callback(self._discard)
            raise

    async def _fork(self) -> Worker:
        ours, theirs = socket.socketpair()
        try:
            async with self._forking:
                try:
                    socket.send_fds(self._control, [b"f"], [theirs.fileno()])
                except OSError as error:
                    raise UnavailableError(f"the zygote of reward {self._spec.name!r} is gone: {error}") from error
                pid = await self._forked.get()
        finally:
            theirs.close()
        if pid < 0:
            self._forked.put_nowait(pid)  # for whoever asks next
            raise UnavailableError(f"the zygote of reward {self._spec.name!r} died")
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return Worker(pid, reader, writer, self)

    def _discard(self, forking: asyncio.Future[Worker]) -> None:
        if not forking.cancelled() and forking.exception() is None:
            ending = asyncio.ensure_future(forking.result().kill())
            self._unwanted.add(ending)
            ending.add_done_callback(self._unwanted.discard)

    async def ended(self, pid: int) -> int:
        """Waits until a worker has ended; the signal that ended it, 0 for none."""
        if not self.alive:
            return signal.SIGKILL  # a zygote takes its workers with it
        number = await asyncio.shield(self._ended[pid])  # shielded: the future outlives a caller that gives up
        self._ended.pop(pid, None)
        return number

    async def close(self) -> None:
        """Ends the zygote, which ends its workers."""
        self._writer.close()
        try:
            await asyncio.to_thread(self._process.wait, 5.0)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)

    async def _line(self) -> str:
        return (await self._reader.readline()).decode(errors="replace").strip()

    async def _listen(self) -> None:
        while line := await self._line():
            word, *numbers = line.split()
            if word == "forked":
                self._forked.put_nowait(int(numbers[0]))
            elif word == "dead":
                self._ended[int(numbers[0])].set_result(int(numbers[1]))
        self._forked.put_nowait(-1)
        for future in self._ended.values():
            if not future.done():
                future.set_result(signal.SIGKILL)
