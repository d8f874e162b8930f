"""Constructs a reward with the options that mesh.yaml gives it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rewardmesh.contract import UnavailableError
from rewardmesh.rewards.base import Reward
from rewardmesh.rewards.by_source import BySource


def construct(
    reward: type[Reward],
    options: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, Any]],
    thinking: Sequence[Sequence[str]],
) -> Reward:
    """The reward; where some sources have options of their own, one instance per set of options behind a `BySource`.

    Args:
        reward: Its class.
        options: Arguments of its constructor.
        sources: Further ones for rollouts of a source, over those above.
        thinking: What its constructor gets as `thinking`, if it has such a parameter and the options do not name it.

    Raises:
        UnavailableError: It cannot be constructed with the options of a source.
        Exception: What its constructor raises for the options of all.
    """
    if thinking and "thinking" in inspect.signature(reward).parameters:
        options = {"thinking": thinking, **options}
    instances = [reward(**options)]
    known = {_spelt(options): 0}
    of_source: dict[str, int] = {}
    for source, own in sources.items():
        merged = {**options, **own}
        if _spelt(merged) not in known:
            known[_spelt(merged)] = len(instances)
            instances.append(_for_source(reward, merged, source, own))
        of_source[source] = known[_spelt(merged)]
    return BySource(instances, of_source) if len(instances) > 1 else instances[0]


def _spelt(options: Mapping[str, Any]) -> str:
    """What two mappings have in common only if they are equal; unlike `==`, tells 1 from true."""
    return json.dumps(options, sort_keys=True, default=repr)


def _for_source(reward: type[Reward], options: Mapping[str, Any], source: str, own: Mapping[str, Any]) -> Reward:
    try:
        return reward(**options)
    except (Exception, SystemExit) as error:  # an author's constructor may raise anything
        said = ", ".join(f"{name}: {value!r}" for name, value in own.items())
        raise UnavailableError(
            f"its constructor failed for source {source!r} ({said}): {type(error).__name__}: {error}"
        ) from error
