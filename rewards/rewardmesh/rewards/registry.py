"""Finds rewards by entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from rewardmesh.contract.errors import UnavailableError, UnknownRewardError
from rewardmesh.rewards.base import Reward, traits

GROUP = "rewardmesh.rewards"


def discover() -> dict[str, EntryPoint]:
    """The installed rewards by name, sorted. Imports none of them."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def provider_version(name: str) -> str:
    """The version of the distribution that brings a reward; empty where there is none."""
    point = discover().get(name)
    return point.dist.version if point is not None and point.dist is not None else ""


def load(name: str) -> type[Reward]:
    """The class of an installed reward.

    Raises:
        UnknownRewardError: No entry point has this name.
        UnavailableError: Its module cannot be imported, or the class is no reward.
    """
    points = discover()
    if name not in points:
        raise UnknownRewardError(f"no reward named {name!r} is installed; installed: {', '.join(points) or 'none'}")
    try:
        reward = cast(type[Reward], points[name].load())
        found = traits(reward).name
    except (Exception, SystemExit) as error:  # whatever a plugin's import raises must not take the other rewards down
        raise UnavailableError(f"reward {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if found != name:
        raise UnavailableError(f"the entry point {name!r} names a reward that calls itself {found!r}")
    return reward
