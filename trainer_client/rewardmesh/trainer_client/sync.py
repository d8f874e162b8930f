"""SyncRewardClient: RewardClient for callers without an event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self
from weakref import WeakSet

from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.trainer_client.channel import LOADED_IN
from rewardmesh.trainer_client.client import RewardClient, RewardInfo
from rewardmesh.trainer_client.helper import HelperProcess
from rewardmesh.trainer_client.loop_thread import LoopThread


class SyncRewardClient:
    """RewardClient, blocking: same arguments, same answers. Connects on first use.

    Any number of threads may share it. Pickled, it is its target and options, and connects anew where it is unpickled;
    after a fork, the child connects anew through a process of its own (see `helper`). A program that loads gRPC before
    this module and forks has to set GRPC_ENABLE_FORK_SUPPORT=0 itself (see `channel`).
    """

    def __init__(
        self,
        target: str | Sequence[str] = "127.0.0.1:50051",
        *,
        timeout: float = 30.0,
        pins: Mapping[str, str] | None = None,
        root_certificates: bytes | None = None,
        hedge_after_seconds: float | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "target": target if isinstance(target, str) else tuple(target),
            "timeout": timeout,
            "pins": dict(pins or {}),
            "root_certificates": root_certificates,
            "hedge_after_seconds": hedge_after_seconds,
        }
        RewardClient(**self._options)  # only to refuse wrong options here, not at the first call
        self._forget()

    def score(self, rollouts: Sequence[Rollout], *, timeout: float | None = None) -> list[Verdict]:
        """One verdict per rollout, in order, whatever happens; see `RewardClient.score`. Raises TypeError."""
        rollouts = list(rollouts)
        try:
            return self._call("score", rollouts, timeout=timeout)
        except ConnectionError as error:  # the helper died; the next call starts another
            return _unavailable(rollouts, error)

    def submit(self, rollouts: Sequence[Rollout], *, timeout: float | None = None) -> Future[list[Verdict]]:
        """As `score`, without waiting for the verdicts: the future will have them, or raise what `score` raises.

        Cancelling it cancels the call. Its callbacks run on a thread of the client's: they must not call the client.
        """
        rollouts = list(rollouts)
        answer: Future[list[Verdict]] = Future()
        try:
            asked = self._started("score", rollouts, timeout=timeout)[1]
        except ConnectionError as error:
            answer.set_result(_unavailable(rollouts, error))
            return answer

        def arrived(asked: Future[list[Verdict]]) -> None:
            if not answer.set_running_or_notify_cancel():
                return
            error = ConnectionError("the call was cancelled") if asked.cancelled() else asked.exception()
            if error is None:
                answer.set_result(asked.result())
            elif isinstance(error, ConnectionError):  # the helper died; the next call notices, and starts another
                answer.set_result(_unavailable(rollouts, error))
            else:
                answer.set_exception(error)

        answer.add_done_callback(lambda answer: asked.cancel() if answer.cancelled() else None)
        asked.add_done_callback(arrived)
        return answer

    def rewards(self) -> list[RewardInfo]:
        """The rewards the router serves; see `RewardClient.rewards`."""
        return self._call("rewards")

    def close(self) -> None:
        """Closes the connection; a later call opens it again."""
        with self._lock:
            runner, self._runner = self._runner, None
            if runner is not None:
                runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self._options

    def __setstate__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._runner: LoopThread | HelperProcess | None = None
        _clients.add(self)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        runner, future = self._started(method, *args, **kwargs)
        try:
            return future.result()
        except ConnectionError:
            self._drop(runner)
            raise
        except BaseException:  # KeyboardInterrupt, say
            future.cancel()
            raise

    def _started(self, method: str, *args: Any, **kwargs: Any) -> tuple[LoopThread | HelperProcess, Future[Any]]:
        """Starts a method. Raises ConnectionError if its helper is dead, and so is the one that is started then."""
        with self._lock:
            if self._runner is not None:
                try:
                    return self._runner, self._runner.submit(method, *args, **kwargs)
                except ConnectionError:
                    self._runner.close()
            runner = self._runner = (LoopThread if os.getpid() == LOADED_IN else HelperProcess)(self._options)
            return runner, runner.submit(method, *args, **kwargs)

    def _drop(self, runner: LoopThread | HelperProcess) -> None:
        with self._lock:
            if self._runner is runner:
                self._runner = None
                runner.close()


def _unavailable(rollouts: Sequence[Rollout], error: ConnectionError) -> list[Verdict]:
    return [Verdict(rollout.id, Failure("unavailable", str(error), retryable=True)) for rollout in rollouts]


_clients: WeakSet[SyncRewardClient] = WeakSet()
_inherited: list[object] = []  # kept from being taken apart here: its connection is the parent's


def _forget_all() -> None:
    """In a forked child: the thread is not there any more, and a lock may be held by nobody."""
    for client in list(_clients):
        _inherited.append(client._runner)  # pyright: ignore[reportPrivateUsage] -- the same module
        client._forget()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_forget_all)
