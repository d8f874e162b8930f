"""What became of the rollouts of one task and one source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rewardmesh.contract.verdict import Score, Verdict
from rewardmesh.router.cli.official import OFFICIAL


@dataclass(slots=True)
class Tally:
    """Counts and sums over verdicts. A Failure is counted and enters no mean."""

    task: str
    failures: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    reward: float = 0.0
    sums: dict[str, float | None] = field(default_factory=dict[str, float | None])

    def add(self, verdict: Verdict) -> None:
        """Counts one verdict."""
        if not isinstance(verdict.outcome, Score):
            self.failures[verdict.outcome.kind] += 1
            return
        score = verdict.outcome
        self.reasons[score.reason] += 1
        self.reward += score.value
        for name, metric in OFFICIAL.get(self.task, {}).items():
            before, here = self.sums.get(name, 0.0), metric(score)
            self.sums[name] = None if before is None or here is None else before + here

    @property
    def scored(self) -> int:
        """How many rollouts got a Score."""
        return self.reasons.total()

    def to_json(self) -> dict[str, Any]:
        """Numbers of rollouts, and means over those that were scored; null where there is no mean."""

        def mean(total: float | None) -> float | None:
            return total / self.scored if self.scored and total is not None else None

        return {
            "rollouts": self.scored + self.failures.total(),
            "scored": self.scored,
            "failures": dict(sorted(self.failures.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "mean_reward": mean(self.reward),
            "metrics": {name: mean(total) for name, total in self.sums.items()},
        }
