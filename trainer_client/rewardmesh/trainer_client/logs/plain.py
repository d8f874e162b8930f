"""Numbers and dataclasses as plain JSON: what is not a number is null, never NaN."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast


def plain(value: Any) -> Any:
    """Dataclasses and mappings as dicts, sequences as lists, NaN and infinities as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in cast("Sequence[Any]", value)]
    return number(value) if isinstance(value, float) else value


def number(value: float | None) -> float | None:
    """The number, or None where it is none: no reader may take NaN or an infinity for a measurement."""
    return value if value is not None and math.isfinite(value) else None


def curves(metrics: Mapping[str, Any]) -> dict[str, float]:
    """A step's numbers under the names of their curves: `reward/math`, `seconds/sample`, `gradients/norms/math`.

    A task's numbers stand under the name of what they measure, so that the tasks' curves share a plot. What is None has
    no point on its curve.

    Args:
        metrics: A `StepMetrics`, made `plain`.
    """
    tasks: dict[str, dict[str, Any]] = metrics["tasks"]
    found = {f"{name}/{task}": value for task, row in tasks.items() for name, value in _leaves(row)}
    found |= dict(_leaves({name: value for name, value in metrics.items() if name not in ("tasks", "step")}))
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{path}", leaf) for path, leaf in _leaves(cast("dict[str, Any]", value)))
        else:
            yield name, value
