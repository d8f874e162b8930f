"""What the trainer needs of a mixture of prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rewardmesh.trainer_client.mixing.mixture import Draw, GroupResult


class Drawing(Protocol):
    """Where prompts come from; `rewardmesh.trainer_client.mixing.mixture.Mixture`, mostly."""

    def draw(self, step: int, count: int) -> Sequence[Draw]:
        """The prompts of a step."""
        ...

    def redraw(self, step: int, round: int, lost: Sequence[Draw]) -> Sequence[Draw]:
        """Others in place of those that taught nothing; `round` counts from 1. May be fewer."""
        ...

    def observe(self, step: int, results: Sequence[GroupResult]) -> None:
        """Told what became of everything that was drawn, once the step is taken."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """All that decides what is drawn next, as JSON has it; a copy."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back to that state."""
        ...
