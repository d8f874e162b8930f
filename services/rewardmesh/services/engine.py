"""Where rewards run. The pipeline knows this protocol and nothing of what stands behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """A reward to be hosted.

    Attributes:
        name: Its entry point's name.
        options: Keyword arguments of its constructor.
        replicas: How many processes host it on Ray Serve.
        sources: Further options for rollouts of a source, over those above.
        thinking: Pairs of tags around thinking, for rewards whose constructor takes `thinking`.
        resources: What a replica on Ray Serve reserves, in Ray's names: "GPU", "CPU", or a node's own. It sees no GPU
            that it did not reserve.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    replicas: int = 1
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    thinking: Sequence[Sequence[str]] = ()
    resources: Mapping[str, float] = field(default_factory=dict[str, float])

    def digest(self, version: str) -> str:
        """Digest of the configuration that decides its scores: name, version and every option."""
        told = [self.name, version, self.options]
        if self.sources or self.thinking:  # most have neither, and keep the digest they had before there was either
            told += [self.sources, self.thinking]
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class RewardStatus:
    """A hosted reward as clients see it.

    Attributes:
        name: What verdicts and pins call it.
        version: Its version.
        digest: Digest of its configuration.
        tasks: The tasks it scores.
        ready: Whether it can score now.
        detail: Why it cannot.
        pure: Whether the same rollout always gets the same score.
        cacheable: Whether remembering scores pays.
        reads: The rollout's fields that a score depends on.
        by_source: Whether it depends on the source too, as mesh.yaml gives some sources options of their own.
        models: Digests of the models that score now (`Score.model` is one, or several); none for rules.
    """

    name: str
    version: str
    digest: str
    tasks: tuple[str, ...]
    ready: bool
    detail: str = ""
    pure: bool = False
    cacheable: bool = False
    reads: tuple[str, ...] = ()
    by_source: bool = False
    models: tuple[str, ...] = ()


class Engine(Protocol):
    """Runs rewards. `start` and `close` are called once, on the event loop that also calls `score`."""

    async def start(self) -> None:
        """Hosts every reward. One that cannot load is listed as not ready; the others work."""
        ...

    def status(self) -> Mapping[str, RewardStatus]:
        """The hosted rewards by name."""
        ...

    def targets(self, reward: str) -> int:
        """How many replicas or processes score this reward side by side; 0: it takes microseconds on this event loop,
        where batching is no gain.
        """
        ...

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """One verdict per rollout, in order, within about `timeout` seconds: what is not done by then is a Failure
        `timeout`. Raises nothing but CancelledError: whatever goes wrong is a Failure of the rollouts it concerns.
        """
        ...

    async def close(self) -> None:
        """Stops everything it started."""
        ...
