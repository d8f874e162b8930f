"""RewardClient: rollouts in, one verdict each out, over one stream to the router."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self, cast

from rewardmesh.contract.codec import decode_verdict, encode_rollout
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError, UnavailableError
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.trainer_client.channel import AioRpcError, Channel, checked_target, open_channel
from rewardmesh.trainer_client.stream import Stream
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1 import reward_pb2_grpc as rpc

MAX_ROLLOUTS = 1024  # a router's default limit of rollouts per message
MAX_MESSAGE_BYTES = 16 * 2**20  # a router's default limit of bytes per message
MAX_BATCH_BYTES = MAX_MESSAGE_BYTES - 64 * 2**10  # leaves room for the id, the timeout and the pins
LAST_TRY_SECONDS = 0.5  # for gRPC to say why it cannot connect: at once, unless the other side is silent
FIELD_BYTES = 6  # what a repeated field adds to a rollout: its tag and a length of up to 5 bytes


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
        self._root_certificates = root_certificates
        self._stream = Stream(target, self._open_channel, version("rewardmesh"))

    @property
    def server_version(self) -> str:
        """The router's version, once it has answered; empty before."""
        return self._stream.server_version

    async def score(self, rollouts: Sequence[Rollout], *, timeout: float | None = None) -> list[Verdict]:
        """One verdict per rollout, in order, whatever happens.

        Failures made on this side are `invalid_rollout` and `invalid_reference` (it cannot be encoded), `too_large`
        (over the limit of a message by itself) and, retryable, `timeout` (the router did not answer in time) and
        `unavailable` (it could not be reached in time). A stream lost on the way is opened again, and what was not
        answered is sent again.

        Raises:
            TypeError: What was given is no rollout.
        """
        for place, rollout in enumerate(rollouts):
            if not isinstance(rollout, Rollout):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers may be untyped
                raise TypeError(f"rollouts[{place}] must be a Rollout, got {type(rollout).__name__}")
        seconds = self.timeout if timeout is None else _checked(timeout)
        deadline = asyncio.get_running_loop().time() + seconds
        verdicts: dict[int, Verdict] = {}

        async def ask(batch: dict[int, pb.Rollout]) -> None:
            for place, outcome in zip(batch, await self._ask(batch, deadline), strict=True):
                id = rollouts[place].id
                verdicts[place] = outcome if isinstance(outcome, Verdict) else Verdict(id, outcome)

        async with asyncio.TaskGroup() as group:
            for batch in _batches(rollouts, verdicts):
                group.create_task(ask(batch))
                await asyncio.sleep(0)  # encoding many batches must not hold up the loop, or their sending
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

    async def _ask(self, batch: dict[int, pb.Rollout], deadline: float) -> list[Verdict | Failure]:
        request = pb.ScoreRequest(rollouts=batch.values(), options=pb.ScoreOptions(pins=self.pins))
        try:
            response = await self._stream.ask(request, deadline)
        except TimeoutError as error:
            return [Failure("timeout", str(error), retryable=True)] * len(batch)
        except ConnectionError as error:
            return [Failure("unavailable", str(error), retryable=True)] * len(batch)
        if len(response.verdicts) != len(batch):
            message = f"{self.target} answered {len(batch)} rollouts with {len(response.verdicts)} verdicts"
            return [Failure("reward_error", message)] * len(batch)
        return [_decode(message, asked.id) for message, asked in zip(response.verdicts, batch.values(), strict=True)]


def _batches(rollouts: Sequence[Rollout], verdicts: dict[int, Verdict]) -> Iterator[dict[int, pb.Rollout]]:
    """Messages' worth of rollouts by place. Those that cannot be sent get their verdict here."""
    batch: dict[int, pb.Rollout] = {}
    size = 0
    for place, rollout in enumerate(rollouts):
        try:
            message = encode_rollout(rollout)
        except (InvalidRolloutError, InvalidReferenceError) as error:
            verdicts[place] = Verdict(rollout.id, Failure.from_error(error))
            continue
        bytes_ = message.ByteSize() + FIELD_BYTES
        if bytes_ > MAX_BATCH_BYTES:
            text = f"the rollout takes {bytes_} bytes; a message may take {MAX_BATCH_BYTES}. Send images as URIs"
            verdicts[place] = Verdict(rollout.id, Failure("too_large", text))
            continue
        if batch and (len(batch) == MAX_ROLLOUTS or size + bytes_ > MAX_BATCH_BYTES):
            yield batch
            batch, size = {}, 0
        batch[place] = message
        size += bytes_
    if batch:
        yield batch


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
