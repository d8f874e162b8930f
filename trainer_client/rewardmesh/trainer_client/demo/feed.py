"""What the demo's policy is shown: examples to warm up with, prompts to train on, and others to be tested with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rewardmesh.trainer_client.demo.tasks import HELD_OUT, make_prompt
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.rollout import Prompt

# Prompts of each task in a batch of the warm-up and of GRPO. Sums are learned by heart, and take more examples.
WARM_UP = {"grounding": 6, "counting": 8, "temporal": 6, "point": 6, "math": 4, "preference": 3}
TRAINING = {"grounding": 4, "counting": 4, "temporal": 4, "point": 4, "math": 2, "preference": 2}
# A seed's prompts have numbers of their own: the first half is the warm-up's, the second GRPO's.
_PER_SEED = 1_000_000


def batches(tasks: Sequence[str], seed: int) -> Iterator[list[tuple[Prompt, str]]]:
    """Batches of the warm-up, without end: prompts with the answers that are taught."""
    first = HELD_OUT + _PER_SEED * seed
    while True:
        yield [make_prompt(task, first + place) for task in tasks for place in range(WARM_UP[task])]
        first += max(WARM_UP.values())


def sources(tasks: Sequence[str], seed: int) -> list[Source]:
    """What GRPO draws from."""
    return [Source(task, task, _Rendered(task, seed), TRAINING[task]) for task in tasks]


def held_out(tasks: Sequence[str], count: int) -> list[Prompt]:
    """So many prompts of each task that nothing is ever trained on."""
    return [make_prompt(task, number)[0] for task in tasks for number in range(count)]


def swap_pictures(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Prompts that show the pictures of another of their task."""
    by_task: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_task.setdefault(prompt.task, []).append(prompt)
    return [
        replace(prompt, images=other.images)
        for of_task in by_task.values()
        for prompt, other in zip(of_task, [*of_task[1:], of_task[0]], strict=True)
    ]


class _Rendered:
    """Prompts of one task, drawn when they are asked for."""

    def __init__(self, task: str, seed: int) -> None:
        self._task = task
        self._first = HELD_OUT + _PER_SEED * seed + _PER_SEED // 2

    def __len__(self) -> int:
        return 10_000

    def __getitem__(self, index: int, /) -> Prompt:
        return make_prompt(self._task, self._first + index)[0]
