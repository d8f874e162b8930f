"""SyncRewardClient: RewardClient for callers without an event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
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
            return [Verdict(rollout.id, Failure("unavailable", str(error), retryable=True)) for rollout in rollouts]

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
        runner = None
        try:
            with self._lock:
                if self._runner is None:
                    self._runner = (LoopThread if os.getpid() == LOADED_IN else HelperProcess)(self._options)
                runner = self._runner
                future = runner.submit(method, *args, **kwargs)
            try:
                return future.result()
            except BaseException:  # KeyboardInterrupt, say
                future.cancel()
                raise
        except ConnectionError:
            with self._lock:
                if runner is not None and self._runner is runner:
                    self._runner = None
                    runner.close()
            raise


_clients: WeakSet[SyncRewardClient] = WeakSet()
_inherited: list[object] = []  # kept from being taken apart here: its connection is the parent's


def _forget_all() -> None:
    """In a forked child: the thread is not there any more, and a lock may be held by nobody."""
    for client in list(_clients):
        _inherited.append(client._runner)  # pyright: ignore[reportPrivateUsage] -- the same module
        client._forget()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_forget_all)
