"""A RewardClient in a process of its own, for processes that were forked.

gRPC does not survive a fork: where a parent has used its asyncio stack, the child's calls hang, with or without gRPC's
fork support, and nothing in the child can mend it. A program started afresh has no such past.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

from rewardmesh.trainer_client.loop_thread import LoopThread


class HelperProcess:
    """Runs the methods of one RewardClient, as LoopThread does, in a program started for the purpose."""

    def __init__(self, options: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=_environment())
        self._connection = Connection(ours.detach())
        self._connection.send(options)
        self._sending = threading.Lock()
        self._ids = itertools.count()
        self._futures: dict[int, Future[Any]] = {}
        self._reader = threading.Thread(target=self._read, name="rewardmesh helper", daemon=True)
        self._reader.start()

    def submit(self, method: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """Starts a method; the future has its result, or ConnectionError if the helper died."""
        future: Future[Any] = Future()
        with self._sending:
            id = next(self._ids)
            self._futures[id] = future
            try:
                self._connection.send((id, method, args, kwargs))
            except OSError:
                self._futures.pop(id, None)
                raise ConnectionError("the reward client's helper process has died") from None
        return future

    def close(self) -> None:
        """Ends the helper, which closes its client first."""
        with self._sending, contextlib.suppress(OSError):  # it may have died
            self._connection.send(None)
        self._reader.join()
        self._process.wait()
        self._connection.close()

    def _read(self) -> None:
        try:
            while True:
                id, result, error = self._connection.recv()
                future = self._futures.pop(id)
                if not future.set_running_or_notify_cancel():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)
        except (EOFError, OSError):
            for future in list(self._futures.values()):
                if future.set_running_or_notify_cancel():
                    future.set_exception(ConnectionError("the reward client's helper process has died"))


def _environment() -> dict[str, str]:
    """This process's environment, with the paths it imports from."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _main() -> None:
    connection = Connection(int(sys.argv[1]))
    client = LoopThread(connection.recv())
    sending = threading.Lock()

    def answer(id: int, future: Future[Any]) -> None:
        error = future.exception()
        with sending:
            connection.send((id, None if error else future.result(), error))

    try:
        while (call := connection.recv()) is not None:
            id, method, args, kwargs = call
            client.submit(method, *args, **kwargs).add_done_callback(lambda future, id=id: answer(id, future))
    except EOFError:
        os._exit(0)  # the process it helped is gone, and with it everyone who waits
    client.close()


if __name__ == "__main__":
    _main()
