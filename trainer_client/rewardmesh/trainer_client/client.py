"""RewardClient: rollouts in, one verdict each out, over one stream to the router."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self, cast

from rewardmesh.contract.codec import decode_verdict, encode_rollout
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError, UnavailableError
from rewardmesh.contract.greeting import MessageLimits
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.trainer_client.channel import AioRpcError, Channel, checked_target, open_channel
from rewardmesh.trainer_client.messages import Batch, overhead, split
from rewardmesh.trainer_client.stream import OverLimitsError, Stream
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1 import reward_pb2_grpc as rpc

LAST_TRY_SECONDS = 0.5  # for gRPC to say why it cannot connect: at once, unless the other side is silent


@dataclass(frozen=True, slots=True)
class RewardInfo:
    """A reward the router serves.

    Attributes:
        name: What verdicts and pins call it.
        version: Its version.
        digest: Digest of its configuration; what a pin pins.
        tasks: The tasks it scores.
        ready: Whether it can score now.
        detail: Why it cannot.
    """

    name: str
    version: str
    digest: str
    tasks: tuple[str, ...]
    ready: bool
    detail: str = ""


class RewardClient:
    """Has rollouts scored by a router. Many calls may share it; it belongs to the event loop it is first used on.

    Args:
        target: host:port of the router, or another name that gRPC resolves (dns:///host:port, unix:path).
        timeout: Seconds a call may take when it names no timeout of its own.
        pins: Reward name -> config digest. A reward whose digest differs answers Failures, not scores of another kind.
        root_certificates: PEM certificates to check the router's with; None to connect without TLS.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout: float = 30.0,
        pins: Mapping[str, str] | None = None,
        root_certificates: bytes | None = None,
    ) -> None:
        self.target = checked_target(target)
        self.timeout = _checked(timeout)
        self.pins = dict(pins or {})
        self._overhead = overhead(self.pins)
        self._root_certificates = root_certificates
        self._stream = Stream(target, self._open_channel, version("rewardmesh"))

    @property
    def server_version(self) -> str:
        """The router's version, once it is connected; empty before."""
        return self._stream.greeting.version

    async def score(self, rollouts: Sequence[Rollout], *, timeout: float | None = None) -> list[Verdict]:
        """One verdict per rollout, in order, whatever happens.

        Failures made on this side are `invalid_rollout` and `invalid_reference` (it cannot be encoded), `too_large`
        (over the router's limit of a message by itself) and, retryable, `timeout` (the router did not answer in time)
        and `unavailable` (it could not be reached in time). A stream lost on the way is opened again, and what was not
        answered is sent again.

        Args:
            rollouts: Any number; they are split into messages as large as the router takes.
            timeout: Seconds the router has; what is not scored by then is answered `timeout`. Where that answer is
                late or lost, this returns `stream.GRACE_SECONDS` (1 s) after the timeout at the latest.

        Raises:
            TypeError: What was given is no rollout.
        """
        for place, rollout in enumerate(rollouts):
            if not isinstance(rollout, Rollout):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers may be untyped
                raise TypeError(f"rollouts[{place}] must be a Rollout, got {type(rollout).__name__}")
        seconds = self.timeout if timeout is None else _checked(timeout)
        deadline = asyncio.get_running_loop().time() + seconds
        verdicts: dict[int, Verdict] = {}

        async def send(messages: Iterable[tuple[int, pb.Rollout]], limits: MessageLimits) -> None:
            for batch in split(messages, limits, self._overhead):
                group.create_task(ask(batch))
                await asyncio.sleep(0)  # encoding many batches must not hold up the loop, or their sending

        async def ask(batch: Batch) -> None:
            try:
                outcomes = await self._ask(batch, deadline)
            except OverLimitsError as error:
                await send(batch.rollouts.items(), error.limits)
                return
            for place, outcome in zip(batch.rollouts, outcomes, strict=True):
                id = rollouts[place].id
                verdicts[place] = outcome if isinstance(outcome, Verdict) else Verdict(id, outcome)

        async with asyncio.TaskGroup() as group:
            await send(_encoded(rollouts, verdicts), self._stream.limits)
        return [verdicts[place] for place in range(len(rollouts))]

    async def rewards(self) -> list[RewardInfo]:
        """The rewards the router serves.

        Raises:
            UnavailableError: The router could not be reached within the client's timeout, or would not answer.
        """
        async with self._open_channel() as channel:
            stub: Any = rpc.RewardServiceStub(channel)  # generated code is untyped
            try:
                answer = await stub.ListRewards(pb.ListRewardsRequest(), timeout=self.timeout, wait_for_ready=True)
            except AioRpcError as error:
                if error.code().name != "DEADLINE_EXCEEDED":
                    raise UnavailableError(f"{self.target}: {error.code().name}: {error.details()}") from None
                try:  # a call that waits to connect does not say why it never did; one that does not wait does
                    answer = await stub.ListRewards(pb.ListRewardsRequest(), timeout=LAST_TRY_SECONDS)
                except AioRpcError as last:
                    why = last.details() if last.code().name == "UNAVAILABLE" else "no answer"
                    raise UnavailableError(f"{self.target}: not reached within {self.timeout:g} s: {why}") from None
        listed = cast(pb.ListRewardsResponse, answer).rewards
        return [RewardInfo(r.name, r.version, r.digest, tuple(r.tasks), r.ready, r.detail) for r in listed]

    async def close(self) -> None:
        """Closes the stream. Calls still waiting get Failures `unavailable`."""
        await self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _open_channel(self) -> Channel:
        return open_channel(self.target, self._root_certificates)

    async def _ask(self, batch: Batch, deadline: float) -> list[Verdict | Failure]:
        """The outcomes of a message. Raises OverLimitsError when smaller messages may do better."""
        asked = batch.rollouts.values()
        request = pb.ScoreRequest(rollouts=asked, options=pb.ScoreOptions(pins=self.pins))
        try:
            response = await self._stream.ask(request, batch.size, deadline)
        except OverLimitsError as error:
            if len(asked) > 1:
                raise
            limit = error.limits.message_bytes
            text = f"the rollout takes {batch.size} bytes; {self.target} takes {limit} in a message"
            return [Failure("too_large", f"{text}. Send images as URIs, or raise limits.message_bytes there")]
        except TimeoutError as error:
            return [Failure("timeout", str(error), retryable=True)] * len(asked)
        except ConnectionError as error:
            return [Failure("unavailable", str(error), retryable=True)] * len(asked)
        if len(response.verdicts) != len(asked):
            message = f"{self.target} answered {len(asked)} rollouts with {len(response.verdicts)} verdicts"
            return [Failure("reward_error", message)] * len(asked)
        return [_decode(message, rollout.id) for message, rollout in zip(response.verdicts, asked, strict=True)]


def _encoded(rollouts: Sequence[Rollout], verdicts: dict[int, Verdict]) -> Iterator[tuple[int, pb.Rollout]]:
    """The rollouts' messages, by place. Those that cannot be encoded get their verdict here."""
    for place, rollout in enumerate(rollouts):
        try:
            yield place, encode_rollout(rollout)
        except (InvalidRolloutError, InvalidReferenceError) as error:
            verdicts[place] = Verdict(rollout.id, Failure.from_error(error))


def _decode(message: pb.Verdict, id: str) -> Verdict | Failure:
    if message.id != id:
        return Failure("reward_error", f"the verdict is for {message.id!r:.80}, not for this rollout")
    try:
        return decode_verdict(message)
    except ValueError as error:  # a score outside [0, 1], a kind of failure nobody knows
        return Failure("reward_error", f"the verdict cannot be read: {error}")


def _checked(timeout: float) -> float:
    if not 0 < timeout < math.inf:
        raise ValueError(f"a timeout must be a positive number of seconds, got {timeout!r}")
    return timeout
