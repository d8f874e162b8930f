"""Preference benchmarks from local files: what a reward model is asked, and which answers are right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmesh.contract.errors import InvalidRolloutError
from rewardmesh.contract.json_shape import integer_of, show
from rewardmesh.rewards.preference.evaluation.scoring import Question
from rewardmesh.rewards.preference.training.pair_file import prompt_of, read_lines, text_in, texts_in


@dataclass(frozen=True, slots=True)
class Trial:
    """A prompt whose best completions must get the highest score.

    Attributes:
        question: The prompt and its completions.
        best: Indices of the right ones, some but not all.
        subset: Of the benchmark; empty for one without.
        all_best: Whether every right one must win, not just one of them.
    """

    question: Question
    best: frozenset[int]
    subset: str = ""
    all_best: bool = False


Format = Callable[[int, dict[str, Any], Path], Trial]
"""Reads a line: its number, its object and the file's folder. Raises InvalidRolloutError (a ValueError)."""


def read_trials(file: Path, format: str) -> list[Trial]:
    """The trials of a JSONL file in one of `FORMATS`.

    Raises:
        OSError: The file cannot be read.
        DataError: A line is not of that form, or there is none.
    """
    read = FORMATS[format]
    return list(read_lines(file, lambda line, row: read(line, row, file.parent)))


def _pairs(line: int, row: dict[str, Any], folder: Path) -> Trial:
    """prompt, chosen and rejected, perhaps subset: as training data has them."""
    completions = [text_in(row, "chosen"), text_in(row, "rejected")]
    return Trial(Question(prompt_of(row, folder), completions, line), frozenset({0}), _subset(row))


def _best_of_n(line: int, row: dict[str, Any], folder: Path) -> Trial:
    """prompt, candidates, and best: an index or several."""
    candidates = texts_in(row, "candidates")
    value = row.get("best", row.get("index", row.get("indices")))
    values: list[Any] = list(value) if isinstance(value, list) else [value]
    best = frozenset(integer_of(each, "best", InvalidRolloutError) for each in values)
    if not best or not best < set(range(len(candidates))):
        wanted = f"an index or several below {len(candidates)}, the number of candidates, but not all"
        raise InvalidRolloutError(f"best must be {wanted}; got {show(value)}")
    return Trial(Question(prompt_of(row, folder), candidates, line), best, _subset(row))


def _rewardbench(line: int, row: dict[str, Any], folder: Path) -> Trial:
    """RewardBench (arXiv 2403.13787): prompt, chosen, rejected, subset. RewardBench 2 (2506.01937) has lists of them.

    VL-RewardBench's (2411.17451) pairs have this form as well, with `images`. In RewardBench 2's subset "Ties" every
    chosen answer must win; how near to each other they are is not judged here.
    """
    chosen, rejected = (_text_or_texts(row, name) for name in ("chosen", "rejected"))
    question = Question(prompt_of(row, folder), chosen + rejected, line)
    subset = _subset(row)
    return Trial(question, frozenset(range(len(chosen))), subset, all_best=subset.casefold() == "ties")


def _llmbar(line: int, row: dict[str, Any], folder: Path) -> Trial:
    """LLMBar (arXiv 2310.07641): id ("Adversarial/GPTInst/0"), prompt, chosen, rejected. The id names the subset.

    Or as its authors publish it: input, output_1, output_2, and label, the number of the better one.
    """
    subset = text_in(row, "id").rpartition("/")[0] if "id" in row else _subset(row)
    if "label" not in row:
        completions, best = [text_in(row, "chosen"), text_in(row, "rejected")], 0
        return Trial(Question(prompt_of(row, folder), completions, line), frozenset({best}), subset)
    label = integer_of(row["label"], "label", InvalidRolloutError)
    if label not in (1, 2):
        raise InvalidRolloutError(f"label must be 1 or 2, the better output, got {label}")
    completions = [text_in(row, "output_1"), text_in(row, "output_2")]
    question = Question(prompt_of({"prompt": row.get("input")}, folder), completions, line)
    return Trial(question, frozenset({label - 1}), subset)


FORMATS: Mapping[str, Format] = {
    "pairs": _pairs,
    "bon": _best_of_n,
    "rewardbench": _rewardbench,
    "llmbar": _llmbar,
}


def _text_or_texts(row: dict[str, Any], name: str) -> list[str]:
    return texts_in(row, name) if isinstance(row.get(name), list) else [text_in(row, name)]


def _subset(row: Mapping[str, Any]) -> str:
    value = row.get("subset", "")
    if not isinstance(value, str):
        raise InvalidRolloutError(f"subset must be a text, got {show(value)}")
    return value


def points(trial: Trial, raw: Sequence[float | None]) -> tuple[float, bool]:
    """What a trial adds to the accuracy, in [0, 1], and whether a right and a wrong completion tied for it.

    Tied completions share the point: two of which one is right give half. A completion that the model cannot read
    scores below all others.
    """
    values = [float("-inf") if value is None or math.isnan(value) else value for value in raw]
    right = [value for place, value in enumerate(values) if place in trial.best]
    wrong = [value for place, value in enumerate(values) if place not in trial.best]
    hardest = min(right) if trial.all_best else max(right)
    if hardest != max(wrong):
        return float(hardest > max(wrong)), False
    tied = (right.count(hardest), wrong.count(hardest))
    return tied[0] / sum(tied), True
