"""All tasks in one run against each task in a run of its own, with as many rollouts of each task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

from rewardmesh.trainer_client.demo.feed import TRAINING
from rewardmesh.trainer_client.experiments import bands, reading
from rewardmesh.trainer_client.experiments.arm import Arm, Run
from rewardmesh.trainer_client.experiments.compare import Interval, compare
from rewardmesh.trainer_client.experiments.laboratory import final, histories, level, run_arms, sampled, since_start
from rewardmesh.trainer_client.experiments.outcome import Outcome, Table
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.interference import plots
from rewardmesh.trainer_client.interference.measures import corrected_cosines, mean_cosines
from rewardmesh.trainer_client.interference.report import write_report
from rewardmesh.trainer_client.logs.folder import METRICS
from rewardmesh.trainer_client.rollout import Scorer

NAME = "interference"
MIXED = "mixed"
Cosines: TypeAlias = Mapping[str, Mapping[str, float | None]]


def run(size: Size, scorer: Scorer, out: Path, model: Path | None, say: Callable[[str], None]) -> Outcome:
    """Trains the mixture and each task alone, and compares. Writes the mixed runs' reports, too.

    Raises:
        PreflightError: The rewards do not pay for the truth.
        RewardsFailedError: Too many rewards failed, or one of an evaluation.
    """
    started = time.perf_counter()
    tasks = size.tasks
    groups = ", ".join(f"{size.batches * TRAINING[task]} groups of {task}" for task in tasks)
    arms = [Arm(MIXED, tasks, measured=True), *(Arm(f"{task} alone", (task,)) for task in tasks)]
    runs = run_arms(arms, size, scorer, out, model, say)
    mixed = runs[MIXED]
    alone = {task: runs[f"{task} alone"] for task in tasks}
    gap = _gaps(mixed, alone)
    moved = {name: since_start(each) for name, each in runs.items()}
    for seed, each in enumerate(mixed):
        standalone = {task: alone[task][seed].folder / METRICS for task in tasks}
        write_report(each.folder / METRICS, out / f"report-{seed}.html", standalone)
    gradients = [report for history in histories(mixed) for report in history.gradients.values()]
    cosines = {a: {b: c and c.value for b, c in row.items()} for a, row in mean_cosines(gradients).items()}
    clean = corrected_cosines(gradients)
    first = [each.held_out[0] for each in mixed]
    return Outcome(
        name=NAME,
        question=(
            "Does a task learn less in a mixture than alone, from as many of its own rollouts? And what does training "
            f"on one task do to the others? {size.steps} steps, "
            f"each with {groups}."
        ),
        size=size,
        arms=runs,
        differences={"mixed - alone": gap, **{f"{name} - start": each for name, each in moved.items()}},
        tables=[
            Table(
                "Held-out reward, greedy",
                ["task", "start", "alone", "mixed", "mixed less alone"],
                [
                    [
                        task,
                        level(first, task),
                        level(final(alone[task]), task),
                        level(final(mixed), task),
                        str(gap[task]),
                    ]
                    for task in tasks
                ],
            ),
            Table(
                "What each run did to each task: change since the start",
                ["run", *tasks],
                [[name, *(str(each[task]) for task in tasks)] for name, each in moved.items()],
            ),
        ],
        reading=[
            *reading.against("the mixture", "training alone", gap),
            *reading.since_start("the mixture", moved[MIXED]),
            *(line for task in tasks for line in _on_others(task, moved[f"{task} alone"])),
            *_pulls(clean),
            "A step of the mixture has more groups than a step on one task, and so less noise in its gradient: some of "
            "what a mixture gains may be that.",
            reading.limits(size.seeds, len(tasks) * (2 + len(tasks)), size.held_out),
        ],
        pictures={
            "training": bands.training(
                {MIXED: sampled(mixed, tasks), "alone": {task: sampled(alone[task], [task])[task] for task in tasks}},
                tasks,
            ),
            "held_out": bands.evaluations({MIXED: dict.fromkeys(tasks, mixed), "alone": alone}, tasks),
            **(_heat_maps(cosines, clean) if cosines else {}),
        },
        seconds=time.perf_counter() - started,
        more={"cosines": cosines, "cosines_without_noise": clean},
    )


def _heat_maps(cosines: Cosines, clean: Cosines) -> dict[str, bytes]:
    return {
        "cosines": plots.heat_map(cosines, "cosines of gradients, as measured"),
        "cosines_without_noise": plots.heat_map(clean, "cosines of gradients, without noise"),
    }


def _gaps(mixed: Sequence[Run], alone: Mapping[str, Sequence[Run]]) -> dict[str, Interval]:
    """The mixture's reward less that of the run on each task."""
    own = [{task: runs[seed].final[task] for task, runs in alone.items()} for seed in range(len(mixed))]
    return compare(final(mixed), own)


def _on_others(task: str, moved: Mapping[str, Interval]) -> list[str]:
    """What training on one task alone did to the others, where it can be told."""
    others = {other: difference for other, difference in moved.items() if other != task and difference.told}
    return reading.since_start(f"training on {task} alone", others) if others else []


def _pulls(cosines: Cosines) -> list[str]:
    """Which two tasks' gradients agree least and most."""
    pairs = [
        (value, a, b)
        for i, a in enumerate(cosines)
        for b in list(cosines)[i + 1 :]
        if (value := cosines[a][b]) is not None
    ]
    unknown = len(cosines) * (len(cosines) - 1) // 2 - len(pairs)
    lines: list[str] = []
    if len(pairs) == 1:
        value, a, b = pairs[0]
        lines.append(f"Without noise, the gradients of {a} and {b} have a cosine of {value:+.2f}.")
    elif pairs:
        (low, a, b), (high, c, d) = min(pairs), max(pairs)
        mean = fmean(value for value, _, _ in pairs)
        lines.append(
            f"Without noise, the tasks' gradients have cosines from {low:+.2f} ({a} and {b}) to {high:+.2f} "
            f"({c} and {d}), {mean:+.2f} on average."
        )
    if unknown:
        lines.append(f"Pairs of tasks whose gradients were too noisy to say: {unknown}.")
    return lines
