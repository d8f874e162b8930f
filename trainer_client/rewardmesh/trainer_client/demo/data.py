"""The demo's data as files, for other trainers and for `rewardmesh score`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rewardmesh.contract import Rollout
from rewardmesh.contract.json_form import write_rollout
from rewardmesh.trainer_client.demo.tasks import HELD_OUT, TASKS, make_item, make_prompt


def rollouts(count: int, tasks: Sequence[str] = tuple(TASKS), first: int = HELD_OUT) -> Iterator[Rollout]:
    """Prompts with their references, task by task in turn; the completion is the answer that is paid in full.

    Args:
        count: Of each task.
        tasks: Of `TASKS`.
        first: Number of the first; below `HELD_OUT`, what the others never show.
    """
    for number in range(first, first + count):
        for task in tasks:
            yield make_prompt(task, number)[0].rollout(make_item(task, number).answer)


def write(path: Path, lines: Iterable[Rollout]) -> int:
    """Writes rollouts as JSON lines, pictures inside as base64. Returns how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for rollout in lines:
            file.write(write_rollout(rollout) + "\n")
            written += 1
    return written
