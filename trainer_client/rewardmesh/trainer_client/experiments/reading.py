"""What the numbers allow to say, and no more."""

from __future__ import annotations

from collections.abc import Mapping

from rewardmesh.trainer_client.experiments.compare import Interval


def against(name: str, other: str, differences: Mapping[str, Interval]) -> list[str]:
    """Sentences on two ways to train: where they differ, and where nothing can be told."""
    lines: list[str] = []
    for sign, word in ((1, "more"), (-1, "less")):
        told = [f"{task} ({difference})" for task, difference in differences.items() if difference.told == sign]
        if told:
            lines.append(_sentence(f"{name} earned {word} than {other} on {_and(told)}."))
    same = [f"{task} ({difference})" for task, difference in differences.items() if difference.told == 0]
    if same:
        lines.append(f"No difference beyond noise between {name} and {other} on {_and(same)}.")
    return lines


def since_start(name: str, differences: Mapping[str, Interval]) -> list[str]:
    """Sentences on what training did to each task."""
    lines: list[str] = []
    for sign, word, side in ((1, "raised", "above"), (-1, "lowered", "below")):
        told = [f"{task} ({difference})" for task, difference in differences.items() if difference.told == sign]
        if told:
            lines.append(_sentence(f"{name} {word} {_and(told)} {side} the start."))
    same = [task for task, difference in differences.items() if difference.told == 0]
    if same:
        lines.append(_sentence(f"{name} did not move {_and(same)} beyond noise."))
    return lines


def limits(seeds: int, comparisons: int, held_out: int) -> str:
    """What the intervals do and do not cover."""
    return (
        f"Brackets are 95 % intervals over {seeds} seeds of training and {held_out} held-out prompts per task. All "
        "runs start from the same warmed-up weights: another start, model, or learning rate may order them otherwise. "
        f"Of {comparisons} intervals, about {max(1, round(comparisons / 20))} would miss by chance alone."
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
