"""The demo's data as files, for `rewardmesh-train run`, `rewardmesh score` and other trainers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rewardmesh.contract import Rollout
from rewardmesh.contract.json_form import write_rollout
from rewardmesh.trainer_client.demo.tasks import HELD_OUT, TASKS, make_item, make_prompt


def rollouts(task: str, count: int, *, held_out: bool = False) -> Iterator[Rollout]:
    """Prompts of a task with their references; the completion is the answer that is paid in full.

    Args:
        task: One of `TASKS`.
        count: How many.
        held_out: Those that the demo never trains on.
    """
    first = 0 if held_out else HELD_OUT
    for number in range(first, first + count):
        yield make_prompt(task, number)[0].rollout(make_item(task, number).answer)


def write_data(
    folder: Path, count: int, tasks: Sequence[str] = tuple(TASKS), *, held_out: bool = False
) -> dict[str, Path]:
    """Writes a file of JSON lines per task, pictures inside as base64.

    Args:
        folder: Made if need be; files of the same names are replaced.
        count: Lines per file, below a million.
        tasks: Of `TASKS`.
        held_out: Prompts that the demo never trains on.

    Returns:
        The files by task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {task: folder / f"{task}.jsonl" for task in tasks}
    for task, path in files.items():
        with path.open("w", encoding="utf-8") as file:
            file.writelines(write_rollout(rollout) + "\n" for rollout in rollouts(task, count, held_out=held_out))
    return files
