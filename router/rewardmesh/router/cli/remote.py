"""The router at the other end of `--target`."""

from __future__ import annotations

from rewardmesh.contract.errors import UnavailableError
from rewardmesh.trainer_client.client import RewardClient, RewardInfo

CONNECT_SECONDS = 5.0  # a router that is there answers at once; a user should not wait long to hear of a wrong port


async def served(target: str) -> list[RewardInfo]:
    """The rewards the router serves. Raises UnavailableError when none answers there."""
    async with RewardClient(target, timeout=CONNECT_SECONDS) as client:
        try:
            return await client.rewards()
        except UnavailableError as error:
            raise UnavailableError(f"no router answered: {error}") from None
