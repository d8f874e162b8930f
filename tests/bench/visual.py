"""The visual rewards: what a verdict costs, beside a plain implementation, and what policies earn that do not look.

    python -m tests.bench.visual [--answers FILE] [--objects N] [--rounds N]

Every answer is scored as it is, and behind 16 KB of thinking, by `reward.score` on one rollout at a time and in one
thread. The completions of a group share their reference, so its reading is remembered, as in training. Beside it stand
a plain implementation (below: a regular expression and a formula, for the commonest format only, sound on honest
answers alone) and `json.loads` of the same text: of the JSON in it where it is nothing else, of the text as a JSON
string otherwise.
What is printed is the median over all answers of a task, of the median over all rounds of an answer.

FILE has a rollout in the JSON form a line, or a line with `raw` (the answer), `task` and, if `reference` is missing, a
reference of our own. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rewardmesh.contract import (
    Box,
    BoxReference,
    CountReference,
    InvalidRolloutError,
    PointReference,
    Rollout,
    Score,
    Segment,
    SegmentReference,
    Size,
)
from rewardmesh.contract.json_form import rollout_from_json
from rewardmesh.rewards.counting import CountingReward
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.point.reward import PointReward
from rewardmesh.rewards.temporal import TemporalReward
from tests.bench.lazy import lazy

_THOUGHT = (
    "Let me look at the picture again. The cat at [312, 44, 420, 180] is the second of three, and from 0:12 to 0:31 "
    'nothing moves; {"x": 1} is no answer. So the one on the left must be meant, which is smaller. '
)
_THINKING = "<think>" + (_THOUGHT * (16 * 1024 // len(_THOUGHT) + 1))[: 16 * 1024] + "</think>\n"

_REWARDS = {
    "grounding": GroundingReward(),
    "point": PointReward(),
    "counting": CountingReward(),
    "temporal": TemporalReward(),
}
_REFERENCES = {
    "grounding": BoxReference([Box(100, 120, 300, 400)], image_size=Size(1280, 960)),
    "point": PointReference([Box(100, 120, 300, 400)], image_size=Size(1280, 960)),
    "counting": CountReference(3),
    "temporal": SegmentReference([Segment(23.0, 47.0)], 120.0),
}
_ANSWERS = {
    "grounding": [
        '```json\n[\n\t{"bbox_2d": [104, 118, 297, 405], "label": "the cat on the left"}\n]\n```',
        '[{"bbox_2d": [104, 118, 297, 405], "label": "cat"}]',
        "<|box_start|>(104,118),(297,405)<|box_end|>",
        "<box>[[104, 118, 297, 405]]</box>",
        "<|begin_of_box|>[[104,118,297,405]]<|end_of_box|>",
        "<answer>[104, 118, 297, 405]</answer>",
        "[104, 118, 297, 405]",
        "{'bbox_2d': [104, 118, 297, 405], 'label': 'the cat's toy'}",
        "The cat is at [104.5, 118.0, 297.25, 405.0].",
    ],
    "point": [
        '{"action": "click", "start_point": [197, 252]}',
        "click(start_box='(197,252)')",
        '<tool_call>\n{"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [197, 252]}}\n'
        "</tool_call>",
        "pyautogui.click(x=197, y=252)",
        '<point x="197" y="252" alt="button">button</point>',
        '[{"point_2d": [197, 252], "label": "button"}]',
        "(197, 252)",
    ],
    "counting": [
        "3",
        "There are three cats in the picture.",
        "<answer>3</answer>",
        "\\boxed{3}",
        "图中一共有三只猫。",
        "4",
    ],
    "temporal": [
        "[00:23,00:47]",
        "[23.0, 47.0]",
        "The event happens from 24.5 to 47.0 seconds.",
        "<answer>24s - 47s</answer>",
        '```json\n{"start_time": "00:23", "end_time": "00:47"}\n```',
        "<timestamp>23.0</timestamp> <timestamp>47.0</timestamp>",
    ],
}
_TASKS = {"parse_boxes": "grounding", "boxes": "grounding", "count": "counting", "segments": "temporal"}  # other names
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


class Cost(NamedTuple):
    """Microseconds: of one verdict, of the plain implementation's, and of `json.loads`."""

    ours: float
    plain: float
    json: float


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.visual", description="Costs and lazy policies.")
    parser.add_argument("--answers", type=Path, help="JSON lines; see this module's docstring. Default: our own")
    parser.add_argument("--objects", type=int, default=20_000, help="simulated things of each kind")
    parser.add_argument("--rounds", type=int, default=200, help="times that each answer is scored")
    options = parser.parse_args()
    rollouts = _read(options.answers) if options.answers else _own()
    costs: dict[str, dict[str, Cost]] = {}
    print(f"{'task':10} {'answers':>7}  {'':6} {'p50 us':>8} {'plain':>8} {'ratio':>6} {'json.loads':>10}")
    for task, members in rollouts.items():
        if not members:
            continue
        costs[task] = {
            "short": _cost(task, members, "", options.rounds),
            "16k": _cost(task, members, _THINKING, options.rounds),
        }
        for name, (ours, plain, loads) in costs[task].items():
            ratio = ours / plain
            print(f"{task:10} {len(members):7}  {name:6} {ours:8.1f} {plain:8.1f} {ratio:6.1f} {loads:10.1f}")
    means = lazy(options.objects)
    _print_lazy(means)
    worst = {name: max((by[name] for by in costs.values()), key=lambda cost: cost.ours) for name in ("short", "16k")}
    report = {
        "p50_us_short": round(worst["short"].ours, 1),
        "p50_us_16k": round(worst["16k"].ours, 1),
        "json_loads_us": round(worst["short"].json, 2),
        "json_loads_us_16k": round(worst["16k"].json, 2),
        "by_task": {
            task: {name: {key: round(us, 2) for key, us in cost._asdict().items()} for name, cost in by.items()}
            for task, by in costs.items()
        },
        "answers": {task: len(members) for task, members in rollouts.items()},
        "objects": options.objects,
        "lazy": {policy: {name: round(mean, 4) for name, mean in row.items()} for policy, row in means.items()},
    }
    print(json.dumps(report))


def _own() -> dict[str, list[Rollout]]:
    return {
        task: [Rollout(f"{task}{i}", text, reference=_REFERENCES[task]) for i, text in enumerate(texts)]
        for task, texts in _ANSWERS.items()
    }


def _read(path: Path) -> dict[str, list[Rollout]]:
    """The rollouts of a file by task; lines of other tasks, and those that are no rollout, are counted and left out."""
    rollouts: dict[str, list[Rollout]] = {task: [] for task in _REWARDS}
    left_out = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        try:
            task, rollout = _rollout(json.loads(line))
        except (ValueError, InvalidRolloutError):
            left_out += 1
            continue
        rollouts[task].append(rollout)
    print(f"{sum(map(len, rollouts.values()))} answers from {path}, {left_out} lines left out")
    return rollouts


def _rollout(line: Any) -> tuple[str, Rollout]:
    if not isinstance(line, dict):
        raise ValueError("a line must be an object")
    task = str(line.get("task", ""))
    task = _TASKS.get(task, task)
    if "raw" in line and "completion" not in line:
        if task not in _REWARDS:
            raise ValueError(f"no reward for task {task!r}")
        return task, Rollout(str(line.get("id", "")), str(line["raw"]), reference=_REFERENCES[task])
    rollout = rollout_from_json({**line, "task": task})
    kinds: dict[type, str] = {type(reference): name for name, reference in _REFERENCES.items()}
    task = task or kinds.get(type(rollout.reference), "")
    if task not in _REWARDS or not isinstance(_REWARDS[task].score([rollout])[0], Score):
        raise ValueError(f"cannot be scored as task {task!r}")
    return task, rollout


def _cost(task: str, rollouts: Sequence[Rollout], before: str, rounds: int) -> Cost:
    reward, plain = _REWARDS[task], _PLAIN[task]
    costs: list[Cost] = []
    for rollout in rollouts:
        text = before + rollout.completion
        batch = [Rollout(rollout.id, text, reference=rollout.reference, answer_space=rollout.answer_space)]
        document = _document(text)
        ours = _median(lambda batch=batch: reward.score(batch), rounds)
        theirs = _median(lambda text=text, reference=rollout.reference: plain(text, reference), rounds)
        costs.append(Cost(ours, theirs, _median(lambda document=document: json.loads(document), rounds)))
    return Cost(*(median(column) for column in zip(*costs, strict=True)))


def _median(call: Callable[[], object], rounds: int) -> float:
    """Microseconds of a call."""
    took: list[int] = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - start)
    return median(took) / 1000


def _document(text: str) -> str:
    inner = _FENCE.sub(r"\1", text.strip())
    try:
        json.loads(inner)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return inner


_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
_CLOCKS = re.compile(r"(\d+):(\d+)")


def _answer(text: str) -> str:
    return text.split("</think>")[-1]


def _plain_box(text: str, reference: Any) -> float:
    numbers = [float(n) for n in _NUMBERS.findall(_answer(text))][-4:]
    if len(numbers) < 4:
        return 0.0
    x1, y1, x2, y2 = numbers
    a, b, c, d = reference.boxes[0]
    intersection = max(0.0, min(x2, c) - max(x1, a)) * max(0.0, min(y2, d) - max(y1, b))
    union = (x2 - x1) * (y2 - y1) + (c - a) * (d - b) - intersection
    hull = (max(x2, c) - min(x1, a)) * (max(y2, d) - min(y1, b))
    return (intersection / union - (hull - union) / hull + 1) / 2 if union and hull else 0.0


def _plain_point(text: str, reference: Any) -> float:
    numbers = [float(n) for n in _NUMBERS.findall(_answer(text))][-2:]
    if len(numbers) < 2 or not reference.regions:
        return 0.0
    x1, y1, x2, y2 = reference.regions[0] if isinstance(reference.regions[0], Box) else (0, 0, 1, 1)
    return float(x1 <= numbers[0] <= x2 and y1 <= numbers[1] <= y2)


def _plain_count(text: str, reference: Any) -> float:
    numbers = _NUMBERS.findall(_answer(text))
    return float(bool(numbers) and float(numbers[-1]) == reference.count)


def _plain_time(text: str, reference: Any) -> float:
    answer = _answer(text)
    times = [60.0 * int(m) + int(s) for m, s in _CLOCKS.findall(answer)] or [float(n) for n in _NUMBERS.findall(answer)]
    if len(times) < 2:
        return 0.0
    start, end = times[:2]
    a, b = reference.segments[0]
    union = max(end, b) - min(start, a)
    return max(0.0, min(end, b) - max(start, a)) / union if union else 0.0


_PLAIN: dict[str, Callable[[str, Any], float]] = {
    "grounding": _plain_box,
    "point": _plain_point,
    "counting": _plain_count,
    "temporal": _plain_time,
}


def _print_lazy(means: dict[str, dict[str, float]]) -> None:
    scorers: list[str] = []
    for policy, row in means.items():
        if list(row) != scorers:
            scorers = list(row)
            print(f"\n{'policy':30}" + "".join(f"{name:>24}" if "," in name else f"{name:>10}" for name in scorers))
        print(
            f"{policy:30}" + "".join(f"{mean:24.2f}" if "," in name else f"{mean:10.2f}" for name, mean in row.items())
        )


if __name__ == "__main__":
    main()
