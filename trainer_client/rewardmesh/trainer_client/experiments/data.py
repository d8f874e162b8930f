"""The demo's tasks, as experiments draw them: for training, for the warm-up, and held out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rewardmesh.trainer_client.demo.tasks import make_prompt
from rewardmesh.trainer_client.rollout import Prompt

# Numbers of prompts: those held out count from 0, the warm-up's and every seed's training stand in blocks of their own.
_BLOCK = 1_000_000


class Fresh:
    """A seed's prompts of one task, rendered when they are asked for."""

    def __init__(self, task: str, seed: int) -> None:
        self._task = task
        self._first = _BLOCK * (seed + 2)

    def __len__(self) -> int:
        """More than any experiment draws."""
        return _BLOCK // 10

    def __getitem__(self, index: int, /) -> Prompt:
        """Prompt number `index`."""
        return make_prompt(self._task, self._first + index)[0]


def examples(tasks: Sequence[str]) -> Iterator[tuple[Prompt, str]]:
    """The warm-up's prompts with their answers, task by task in turn, without end."""
    for number in itertools.count(_BLOCK):
        for task in tasks:
            yield make_prompt(task, number)


def held_out(tasks: Sequence[str], count: int) -> list[Prompt]:
    """So many prompts of each task that nothing is trained on."""
    return [make_prompt(task, number)[0] for task in tasks for number in range(count)]
