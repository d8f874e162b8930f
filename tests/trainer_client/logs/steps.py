"""Steps and rollouts for the logs' tests, with text that breaks careless writers."""

from __future__ import annotations

from rewardmesh.trainer_client.interference.gradients import GradientReport
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics, TaskMetrics

TEXTS = (
    "",
    'two\nlines, a "quote", a \\ and a \x00\r\u2028',
    "数一数：三 🙂",
    '{"step": 7}\n{\'',
    "a lone \ud83d surrogate and another \udc00",
    "cut in the middle of a pair \ud83d",
)
TASKS = ("math", "counting")


def metrics(step: int, reward: float | None = 0.5, entropy: float | None = 1.25) -> StepMetrics:
    task = TaskMetrics(
        rollouts=8, failures=1, reward=reward, zero_spread=0.25, entropy=entropy, length=3.5, truncated=0.0
    )
    gradients = GradientReport(
        groups={"math": 2, "counting": 2},
        norms={"math": 2.0, "counting": 0.0},
        halves={"math": 0.5, "counting": None},
        cosines={"math": {"math": 1.0, "counting": None}, "counting": {"math": None, "counting": None}},
        corrected={"math": {"math": 1.0, "counting": None}, "counting": {"math": None, "counting": None}},
    )
    return StepMetrics(step, dict.fromkeys(TASKS, task), 0.75, {"sample": 0.125}, gradients if step % 2 else None)


def rollouts(step: int) -> list[RolloutRecord]:
    """One of each nasty text, judged and failed in turn."""
    return [
        RolloutRecord(
            step=step,
            prompt=f"{TASKS[i % 2]}-{step}",
            group=f"{step}/{i // 2}",
            task=TASKS[i % 2],
            source='"source"\n',
            text=text,
            value=None if i % 3 == 2 else i / 8,
            components={"iou": 0.1 + 0.2, "é": 1.0} if i % 2 else {},
            reason=None if i % 3 == 2 else "num_eq",
            failure="timeout" if i % 3 == 2 else None,
            reward="math",
            version="4",
            advantage=None if i % 3 == 2 else -1.0 / 3.0,
            tokens=i + 1,
            truncated=i == 4,
            policy_version=step,
        )
        for i, text in enumerate(TEXTS)
    ]
