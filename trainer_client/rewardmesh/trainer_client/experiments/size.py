"""How large an experiment is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rewardmesh.trainer_client.demo.run import SAMPLING, WARM_UP_STEPS
from rewardmesh.trainer_client.demo.tasks import TASKS


@dataclass(frozen=True, slots=True)
class Size:
    """Everything that makes an experiment longer and its answer surer.

    Attributes:
        tasks: Which of the demo's tasks; none named: all.
        seeds: Runs of each arm; at least 2: one run has no noise to be compared with.
        warm_up_steps: Supervised steps of the start that all runs share.
        steps: Training steps of each run.
        batches: Groups in each step: so many times the demo's.
        group_size: Completions per group.
        held_out: Prompts per task that are never trained on, for evaluation.
        evaluate_every: Steps between evaluations; the start and the end are always evaluated.
        measure_every: Steps between measurements of gradients.
        micro_batch: Completions per forward pass.
        device: Where the model is; "auto" is the first GPU, if there is one.

    Raises:
        ValueError: There are fewer than 2 seeds, no steps, or no such task.
    """

    tasks: tuple[str, ...] = ()
    seeds: int = 2
    warm_up_steps: int = WARM_UP_STEPS
    steps: int = 100
    batches: int = 1
    group_size: int = SAMPLING.group_size
    held_out: int = 64
    evaluate_every: int = 25
    measure_every: int = 2
    micro_batch: int = 128
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.seeds < 2 or self.steps < 1:
            raise ValueError(f"an experiment needs at least 2 seeds and 1 step, got {self.seeds} and {self.steps}")
        if unknown := [task for task in self.tasks if task not in TASKS]:
            raise ValueError(f"the demo has no task {unknown[0]!r}; it has {', '.join(TASKS)}")
        object.__setattr__(self, "tasks", self.tasks or tuple(TASKS))


SIZES = {
    "cpu": Size(),
    # The demo has 10,000 prompts of each task and seed: none is seen twice.
    "gpu": Size(
        seeds=5,
        steps=400,
        batches=6,
        group_size=16,
        held_out=512,
        evaluate_every=50,
        measure_every=5,
        micro_batch=1024,
        device="auto",
    ),
}


def sized(name: str, tasks: tuple[str, ...] = (), seeds: int | None = None, steps: int | None = None) -> Size:
    """A named size, with other tasks and other numbers of seeds and steps if they are given.

    Raises:
        ValueError: As `Size`.
    """
    size = SIZES[name]
    seeds, steps = size.seeds if seeds is None else seeds, size.steps if steps is None else steps
    return replace(
        size, tasks=tasks, seeds=seeds, steps=steps, evaluate_every=min(size.evaluate_every, max(1, steps // 4))
    )
