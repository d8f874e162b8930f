"""RewardInfo: what a router tells of the rewards it serves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from rewardmesh.trainer_client.channel import Channel
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1 import reward_pb2_grpc as rpc


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
        pure: Whether it declares that scoring twice does no more than scoring once.
    """

    name: str
    version: str
    digest: str
    tasks: tuple[str, ...]
    ready: bool
    detail: str = ""
    pure: bool = False


async def list_rewards(channel: Channel, timeout: float, *, wait: bool) -> list[RewardInfo]:
    """Asks a router for its rewards.

    Args:
        channel: To the router.
        timeout: Seconds.
        wait: Whether to go on trying to connect for as long; it is then not said why it never did.

    Raises:
        AioRpcError: It could not be reached, or would not answer.
    """
    stub: Any = rpc.RewardServiceStub(channel)  # generated code is untyped
    answer = await stub.ListRewards(pb.ListRewardsRequest(), timeout=timeout, wait_for_ready=wait)
    return [
        RewardInfo(r.name, r.version, r.digest, tuple(r.tasks), r.ready, r.detail, getattr(r, "pure", False))
        for r in cast(pb.ListRewardsResponse, answer).rewards
    ]


def pure_tasks(rewards: Iterable[RewardInfo]) -> frozenset[str]:
    """The tasks that only pure rewards score."""
    rewards = list(rewards)
    impure = {task for reward in rewards if not reward.pure for task in reward.tasks}
    return frozenset(task for reward in rewards for task in reward.tasks) - impure
