"""Measures each task's gradient while a step is trained: norms, cosines between tasks, and how much is noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rewardmesh.trainer_client.interference.cosine import corrected, cosine


@dataclass(frozen=True, slots=True)
class GradientReport:
    """One step's gradients, task by task, before clipping. JSON-able by `dataclasses.asdict`.

    Attributes:
        groups: How many groups were added, by task.
        norms: Length of the task's summed gradient. Estimated from the coordinates that were kept.
        halves: Cosine of the sums over the task's two halves; None without groups in both. Near 0: noise.
        cosines: Cosine of two tasks' sums, both ways round and 1 on the diagonal; None where a gradient is 0.
        corrected: The same with the noise taken out; None where `halves` are too small to say.
    """

    groups: Mapping[str, int]
    norms: Mapping[str, float]
    halves: Mapping[str, float | None]
    cosines: Mapping[str, Mapping[str, float | None]]
    corrected: Mapping[str, Mapping[str, float | None]]


class GradientMeasure:
    """Sums gradients by task and half, in float32.

    Keeps two vectors per task, each as long as the model, or as `limit`. For one process that holds whole tensors.
    """

    def __init__(self, parameters: Sequence[Tensor], limit: int | None = None, seed: int = 0) -> None:
        """Prepares for gradients of these parameters.

        Args:
            parameters: The trained ones, in the order in which their gradients will come.
            limit: Keep about so many coordinates, drawn evenly, for models that do not fit ten times; None: all.
            seed: Of the draw.

        Raises:
            ValueError: `limit` is below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self._parameters = list(parameters)
        total = sum(parameter.numel() for parameter in parameters)
        share = 1.0 if limit is None else min(1.0, limit / max(1, total))
        self._kept = [None] * len(parameters) if share == 1.0 else _draw(parameters, share, seed)
        self._scale = share**-0.5
        self._sums: dict[tuple[str, int], Tensor] = {}
        self._groups: dict[str, int] = {}

    def add(self, task: str, half: Literal[0, 1], gradients: Sequence[Tensor | None]) -> None:
        """Adds a group's gradient, weighed as it is in the step's loss.

        Args:
            task: Whose group it is.
            half: Which half it belongs to: the task's groups in turn.
            gradients: One per parameter, in order; None counts as 0.

        Raises:
            ValueError: There are more or fewer gradients than parameters, or of other shapes.
        """
        given = [torch.zeros_like(p) if g is None else g for p, g in zip(self._parameters, gradients, strict=True)]
        if any(gradient.shape != parameter.shape for gradient, parameter in zip(given, self._parameters, strict=True)):
            raise ValueError("a gradient has another shape than its parameter")
        flat = torch.cat([_pick(gradient, kept) for gradient, kept in zip(given, self._kept, strict=True)])
        held = self._sums.get((task, half))
        self._sums[task, half] = flat if held is None else held.add_(flat)
        self._groups[task] = self._groups.get(task, 0) + 1

    def report(self) -> GradientReport:
        """What was measured so far, tasks in the order in which they came."""
        whole = {task: self._whole(task) for task in self._groups}
        halves = {
            task: cosine(self._sums[task, 0], self._sums[task, 1])
            if (task, 0) in self._sums and (task, 1) in self._sums
            else None
            for task in whole
        }
        cosines = {a: {b: cosine(whole[a], whole[b]) for b in whole} for a in whole}
        return GradientReport(
            groups=dict(self._groups),
            norms={task: float(vector.double().norm()) * self._scale for task, vector in whole.items()},
            halves=halves,
            cosines=cosines,
            corrected={
                a: {b: cosines[a][b] if a == b else corrected(cosines[a][b], halves[a], halves[b]) for b in whole}
                for a in whole
            },
        )

    def _whole(self, task: str) -> Tensor:
        first, second = self._sums.get((task, 0)), self._sums.get((task, 1))
        if first is None or second is None:
            only = second if first is None else first
            assert only is not None
            return only
        return first + second


def _draw(parameters: Sequence[Tensor], share: float, seed: int) -> list[Tensor]:
    """Flat indices to keep of each parameter, at least one: tensors of any size are told apart."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(max(1, p.numel()), (max(1, round(p.numel() * share)),), generator=generator) for p in parameters
    ]


def _pick(gradient: Tensor, kept: Tensor | None) -> Tensor:
    flat = gradient.detach().reshape(-1)
    return (flat if kept is None else flat[kept.to(flat.device)]).to(torch.float32)
