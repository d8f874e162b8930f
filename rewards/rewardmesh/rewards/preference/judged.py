"""What a reward model says of a conversation, wherever it runs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from rewardmesh.rewards.preference.checkpoint import Conversation


@dataclass(frozen=True, slots=True)
class Judged:
    """A calibrated score.

    Attributes:
        value: In [0, 1].
        raw: The model's own score.
        model: Digests of the model and of its calibration.
        tokens: How many tokens the completion has, with its template.
        cut: How many tokens of the prompt did not fit the model.
    """

    value: float
    raw: float
    model: str
    tokens: int
    cut: int


@dataclass(frozen=True, slots=True)
class TooLong:
    """A completion that is longer than what the model reads, in tokens."""

    tokens: int
    limit: int


Judgement: TypeAlias = Judged | TooLong | Exception
"""An exception concerns that conversation alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation to be judged.

    Attributes:
        conversation: The prompt and a completion.
        group: A text: the completions of one prompt that one version of a model judges. Anything else: of no group.
        references: What a reference-centred calibration compares the completion with.
    """

    conversation: Conversation
    group: Hashable
    references: Sequence[str] = ()


class Judge(Protocol):
    """A reward model.

    Attributes:
        sees: Whether it takes images.
        digest: Of the model and of its calibration, as they are now.
    """

    @property
    def sees(self) -> bool: ...

    @property
    def digest(self) -> str: ...

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """One per case, in order.

        Raises:
            UnavailableError: Nothing can be judged now.
        """
        ...
