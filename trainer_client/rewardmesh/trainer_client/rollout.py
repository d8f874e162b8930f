"""A prompt with its ground truth, and the rollouts that completions make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rewardmesh.contract import AnswerSpace, Image, Message, Reference, Rollout, Verdict


@dataclass(frozen=True, slots=True)
class Prompt:
    """One item of training data.

    Attributes:
        id: Unique within a run; the GRPO group of its completions.
        task: Which reward judges it.
        source: The data set's name.
        messages: What the policy is asked.
        reference: The ground truth.
        images: What the messages' image parts point at.
        answer_space: How the policy writes coordinates; None: as the reward's options say.
        metadata: Any JSON object, for rewards that are plugins.
    """

    id: str
    task: str
    source: str
    messages: tuple[Message, ...]
    reference: Reference | None
    images: tuple[Image, ...] = ()
    answer_space: AnswerSpace | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def rollout(
        self,
        completion: str,
        index: int = 0,
        *,
        truncated: bool = False,
        policy_version: int | None = None,
        step: int | None = None,
    ) -> Rollout:
        """The rollout of this prompt's completion number `index`, ready to be scored."""
        return Rollout(
            id=f"{self.id}/{index}",
            group=self.id,
            task=self.task,
            source=self.source,
            prompt=self.messages,
            completion=completion,
            reference=self.reference,
            images=self.images,
            answer_space=self.answer_space,
            metadata=self.metadata,
            truncated=truncated,
            policy_version=policy_version,
            step=step,
        )


class RewardsFailedError(RuntimeError):
    """What was asked could not be judged, by no fault of the policy's: there is no reward to go on with."""


class Scorer(Protocol):
    """Whatever scores rollouts: `SyncRewardClient`, say."""

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in order."""
        ...


def reward(rollout: Rollout, verdict: Verdict) -> float | None:
    """What the policy earns: the score, 0 for a completion that never ended, or None when it could not be judged.

    A reward reads the answer and not what follows it. Paid like others, completions that go on after their answer
    until they are cut off would teach the policy not to stop.
    """
    if verdict.score is None:
        return None
    return 0.0 if rollout.truncated else verdict.score.value


def score(scorer: Scorer, rollouts: Sequence[Rollout]) -> list[Verdict]:
    """Scores rollouts; raises as `checked` does."""
    return checked(rollouts, scorer.score(rollouts))


def checked(rollouts: Sequence[Rollout], verdicts: list[Verdict]) -> list[Verdict]:
    """The verdicts, if they are those of the rollouts.

    Raises:
        RuntimeError: Verdicts are missing or in another order: their rewards would go to the wrong completions.
    """
    if [v.id for v in verdicts] != [r.id for r in rollouts]:
        raise RuntimeError(
            f"asked for verdicts of {len(rollouts)} rollouts, got {len(verdicts)} that are not theirs in order"
        )
    return verdicts
