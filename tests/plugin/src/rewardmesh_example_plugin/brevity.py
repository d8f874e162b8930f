"""The README's example of a reward."""

from collections.abc import Sequence

from rewardmesh.contract import Outcome, Rollout, Score


class Brevity:
    """Short completions are good ones."""

    name = "brevity"
    version = "1"

    def score(self, rollouts: Sequence[Rollout]) -> list[Outcome]:
        return [Score(1.0 / (1 + len(r.completion)), reason="length") for r in rollouts]
