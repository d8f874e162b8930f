"""A mixed batch as a trainer of a vision-language model sends it: right and wrong answers of every task, and mistakes
of the data set that must come back as Failures, not as zeros.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rewardmesh.contract import (
    ActionReference,
    Box,
    BoxReference,
    CountReference,
    MathReference,
    Point,
    PointReference,
    Polygon,
    Rollout,
    Score,
    Segment,
    SegmentReference,
    Verdict,
)

_HALF = MathReference([r"\frac{1}{2}"])
_CAT = BoxReference([Box(100, 100, 300, 300)])
_BUTTON = PointReference([Box(20, 40, 120, 80), Polygon((Point(200, 200), Point(260, 200), Point(230, 260)))])
_TAP = ActionReference("tap", Box(20, 40, 120, 80))
_GOAL = SegmentReference([Segment(83.0, 95.0)], duration=300.0)
_PERU = "Could you tell me the capital of Peru?"

BATCH = [
    Rollout("math right", r"<think>Half of it.</think> So the answer is \boxed{0.5}.", reference=_HALF),
    Rollout("math wrong", r"Hence \boxed{\frac{1}{3}}.", reference=_HALF),
    Rollout("math bomb", r"\boxed{9^{9^{9^{9}}}}", reference=_HALF),
    Rollout("box right", '```json\n[{"bbox_2d": [110, 100, 300, 290], "label": "cat"}]\n```', reference=_CAT),
    Rollout("box lazy", "[0, 0, 640, 480]", reference=_CAT),
    Rollout("point right", "(230, 220)", reference=_BUTTON),
    Rollout("click wrong", '{"action": "click", "start_point": [400, 60]}', reference=_BUTTON),
    Rollout("tap right", "Action: click(start_box='(60,70)')", reference=_TAP),
    Rollout("tap lazy", '{"action": "click", "start_point": [320, 240]}', reference=_TAP),
    Rollout("count right", "There are 3 dogs in the picture.", reference=CountReference(3)),
    Rollout("count vague", "There are 3 or 4 dogs.", reference=CountReference(3)),
    Rollout("moment right", "[01:24,01:35]", reference=_GOAL),
    Rollout("moment thought", "<think>It must be [01:24,01:35], let me", reference=_GOAL),
    Rollout("kind words", "Gladly. The capital of Peru is Lima. I hope that helps.", prompt=_PERU, task="preference"),
    Rollout("rude words", "Only an idiot would not know that. Go away.", prompt=_PERU, task="preference"),
    Rollout("bad reference", "[0, 0, 10, 10]", reference=BoxReference([Box(300, 100, 100, 300)])),
    Rollout("no task", "42"),
]


def table(rollouts: Sequence[Rollout], verdicts: Sequence[Verdict]) -> str:
    """What became of each rollout, a line each: id, task, value or failure, reason."""
    lines = [f"{'rollout':<16}{'task':<12}{'value':<8}reason"]
    for rollout, verdict in zip(rollouts, verdicts, strict=True):
        outcome = verdict.outcome
        if isinstance(outcome, Score):
            explained = f": {outcome.explanation}" if outcome.explanation else ""
            value, why = f"{outcome.value:.3f}", outcome.reason + explained
        else:
            value, why = "failure", f"{outcome.kind}: {outcome.message}"
        lines.append(f"{rollout.id:<16}{verdict.task or '-':<12}{value:<8}{textwrap.shorten(why, 100)}")
    return "\n".join(lines)
