"""RewardClient: rollouts in, one verdict each out, over streams to the routers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Self

from rewardmesh.contract.errors import UnavailableError
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Verdict
from rewardmesh.trainer_client.asking import Asker
from rewardmesh.trainer_client.call import Call
from rewardmesh.trainer_client.channel import AioRpcError, open_channel
from rewardmesh.trainer_client.messages import overhead
from rewardmesh.trainer_client.rewards import RewardInfo, list_rewards
from rewardmesh.trainer_client.routers import Routers
from rewardmesh.trainer_client.targets import parse

__all__ = ["RewardClient", "RewardInfo"]

LAST_TRY_SECONDS = 0.5  # for gRPC to say why it cannot connect: at once, unless the other side is silent


class RewardClient:
    """Has rollouts scored by routers. Many calls may share it; it belongs to the event loop it is first used on.

    Calls that run at the same time share messages, so that many small ones cost little more than one large one.
    Pickled, it is its configuration, and connects anew where it is unpickled.

    Args:
        target: host:port of the router, or another name that gRPC resolves (dns:///host:port, unix:path). Of several,
            "a:1,b:2" or a sequence, and of the several addresses of a dns: name, the least busy is asked, in turn; one
            that is down or shutting down is passed over, and what it was asked another is asked.
        timeout: Seconds a call may take when it names no timeout of its own.
        pins: Reward name -> config digest. A reward whose digest differs answers Failures, not scores of another kind.
        root_certificates: PEM certificates to check the routers' with; None to connect without TLS.
        hedge_after_seconds: When what was asked of one router is asked of a second too; the first answer counts. Only
            for rollouts that name their task, where the routers say that its rewards are pure. None: never.
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
        targets = parse(target)
        self.target = ",".join(targets)
        self.timeout = _checked("a timeout", timeout)
        self.pins = dict(pins or {})
        if hedge_after_seconds is not None:
            _checked("hedge_after_seconds", hedge_after_seconds)
        self._hedge_after_seconds = hedge_after_seconds
        self._overhead = overhead(self.pins)
        self._root_certificates = root_certificates
        self._routers = Routers(targets, root_certificates, version("rewardmesh"), hedge_after_seconds)
        self._asker = Asker(self._routers, self.pins)

    @property
    def server_version(self) -> str:
        """The version of a router, once one is connected; empty before."""
        return next((s.greeting.version for s in self._routers.streams if s.greeting.version), "")

    async def score(self, rollouts: Sequence[Rollout], *, timeout: float | None = None) -> list[Verdict]:
        """One verdict per rollout, in order, whatever happens.

        Failures made on this side are `invalid_rollout` and `invalid_reference` (it cannot be encoded), `too_large`
        (over the router's limit of a message by itself) and, retryable, `timeout` (the router did not answer in time)
        and `unavailable` (it could not be reached in time). What a lost stream left unanswered is sent again, and so
        are, a few times, later each time and not before the router asks for it, rollouts whose Failure is retryable;
        all of it before the deadline.

        Args:
            rollouts: Any number; they are split into messages as large as the router takes. Ids may repeat.
            timeout: Seconds the router has; what is not scored by then is answered `timeout`. Where that answer is
                late or lost, this returns `stream.GRACE_SECONDS` (1 s) after the timeout at the latest.

        Raises:
            TypeError: What was given is no rollout.
        """
        for place, rollout in enumerate(rollouts):
            if not isinstance(rollout, Rollout):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers may be untyped
                raise TypeError(f"rollouts[{place}] must be a Rollout, got {type(rollout).__name__}")
        seconds = self.timeout if timeout is None else _checked("a timeout", timeout)
        deadline = asyncio.get_running_loop().time() + seconds
        return await Call(rollouts, deadline, self._routers, self._asker, self._overhead).run()

    async def rewards(self) -> list[RewardInfo]:
        """The rewards the router serves; of several routers, the one that answers first.

        Raises:
            UnavailableError: No router could be reached within the client's timeout, or would answer.
        """
        asked = [asyncio.create_task(self._rewards(target)) for target in self._routers.targets]
        failures: list[str] = []
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    return await answer
                except UnavailableError as error:
                    failures.append(str(error))
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise UnavailableError("; ".join(failures))

    async def close(self) -> None:
        """Closes the streams. Calls still waiting get Failures `unavailable`."""
        await self._routers.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "timeout": self.timeout,
            "pins": self.pins,
            "root_certificates": self._root_certificates,
            "hedge_after_seconds": self._hedge_after_seconds,
        }

    def __setstate__(self, options: dict[str, Any]) -> None:
        self.__init__(**options)

    async def _rewards(self, target: str) -> list[RewardInfo]:
        async with open_channel(target, self._root_certificates) as channel:
            try:
                return await list_rewards(channel, self.timeout, wait=True)
            except AioRpcError as error:
                if error.code().name != "DEADLINE_EXCEEDED":
                    raise UnavailableError(f"{target}: {error.code().name}: {error.details()}") from None
            try:  # a call that waits to connect does not say why it never did; one that does not wait does
                return await list_rewards(channel, LAST_TRY_SECONDS, wait=False)
            except AioRpcError as last:
                why = last.details() if last.code().name == "UNAVAILABLE" else "no answer"
                raise UnavailableError(f"{target}: not reached within {self.timeout:g} s: {why}") from None


def _checked(what: str, seconds: float) -> float:
    if not 0 < seconds < math.inf:
        raise ValueError(f"{what} must be a positive number of seconds, got {seconds!r}")
    return seconds
