"""Why nothing was answered."""

from __future__ import annotations

from rewardmesh.contract import Rollout, Score
from rewardmesh.rewards.answer import WINDOW, Tags, after_thinking


def unanswered(rollout: Rollout, tags: Tags) -> Score:
    """0, with the reason why the completion holds no answer.

    `truncated` if it hit the length limit, `too_long` if it ran on after its thinking for longer than is read, and
    `no_answer` otherwise.
    """
    if rollout.truncated:
        return Score(0.0, "truncated", "the completion was cut off before it answered")
    said = after_thinking(rollout.completion, tags)
    if said is not None and len(said.text) > WINDOW:
        return Score(0.0, "too_long", f"no answer in the last {WINDOW} characters", "", (said.start, said.end))
    return Score(0.0, "no_answer")
