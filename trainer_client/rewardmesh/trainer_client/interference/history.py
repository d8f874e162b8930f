"""A run so far, as curves by task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Curve(NamedTuple):
    """One number of one task, where it was known.

    Attributes:
        steps: At which steps.
        values: What it was.
        rollouts: How many of the task's rollouts had been sampled by then, those of the step included.
    """

    steps: list[int]
    values: list[float]
    rollouts: list[int]

    def last(self, count: int) -> Curve:
        """Its last `count` points."""
        return Curve(self.steps[-count:], self.values[-count:], self.rollouts[-count:])

    def first(self, count: int) -> Curve:
        """Its first `count` points."""
        return Curve(self.steps[:count], self.values[:count], self.rollouts[:count])

    def within(self, rollouts: int) -> Curve:
        """Its points up to so many rollouts of the task."""
        return self.first(sum(seen <= rollouts for seen in self.rollouts))


_EMPTY = Curve([], [], [])


class History:
    """Curves that grow by a step at a time.

    Beside what `TaskMetrics` has there are two more per task: `token_share`, its share of the step's sampled tokens,
    and `gradient_norm`, where gradients were measured.

    Attributes:
        steps: The steps, in order.
        tasks: In the order in which they came.
        gradients: The reports of measured gradients (`GradientReport` as JSON), by step.
        failures: Rollouts that could not be judged, by task.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        """Starts with these steps: `StepMetrics` as JSON, in order."""
        self.steps: list[int] = []
        self.tasks: list[str] = []
        self.gradients: dict[int, Mapping[str, Any]] = {}
        self.failures: dict[str, int] = {}
        self._curves: dict[tuple[str, str], Curve] = {}
        self._rollouts: dict[str, int] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a step.

        Raises:
            ValueError: It does not follow on the last one.
        """
        step: int = row["step"]
        if self.steps and step <= self.steps[-1]:
            raise ValueError(f"step {step} follows on step {self.steps[-1]}: the log is not that of one run")
        self.steps.append(step)
        measured: Mapping[str, Any] | None = row.get("gradients")
        if measured:
            self.gradients[step] = measured
        tokens = {task: numbers["rollouts"] * numbers["length"] for task, numbers in row["tasks"].items()}
        for task, numbers in row["tasks"].items():
            if task not in self._rollouts:
                self.tasks.append(task)
            self._rollouts[task] = self._rollouts.get(task, 0) + numbers["rollouts"]
            self.failures[task] = self.failures.get(task, 0) + numbers["failures"]
            norm = measured["norms"].get(task) if measured else None
            more = {"token_share": tokens[task] / (sum(tokens.values()) or 1.0), "gradient_norm": norm}
            for name, value in (numbers | more).items():
                if isinstance(value, (int, float)):
                    curve = self._curves.setdefault((task, name), Curve([], [], []))
                    curve.steps.append(step)
                    curve.values.append(float(value))
                    curve.rollouts.append(self._rollouts[task])

    def curve(self, task: str, name: str) -> Curve:
        """A task's curve: "reward", "length", "token_share", ...; empty where there is none."""
        return self._curves.get((task, name), _EMPTY)
