"""Before training: does every reward pay for the truth?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rewardmesh.contract.as_answer import answered_in, as_answer
from rewardmesh.contract.reference import PreferenceReference
from rewardmesh.trainer_client.rollout import Prompt, Scorer, score

# Coordinates may pass through JSON and a change of space on their way; what is paid less than this is another answer.
FULL_MARKS = 1.0 - 1e-6
# A wrong set-up fails every rollout alike: a few tell the story.
_SHOWN = 5


class PreflightError(RuntimeError):
    """Training must not start: a prompt cannot be judged, or its reference is not paid in full."""


def preflight(prompts: Sequence[Prompt], scorer: Scorer) -> dict[str, int]:
    """Has each prompt's reference scored as if the policy had answered it.

    A reference that states no answer (a plugin's, none at all, one that is empty) is scored with an empty completion:
    it must be judged, whatever its score, as must a preference, which has no right answer.

    Returns:
        How many prompts were checked, by task.

    Raises:
        PreflightError: Names the rollouts, their tasks and what is wrong with them.
    """
    answers = [as_answer(prompt.reference) for prompt in prompts]
    rollouts = [
        replace(prompt.rollout(answer or ""), answer_space=answered_in(prompt.reference))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    wrong: list[str] = []
    for prompt, answer, rollout, verdict in zip(prompts, answers, rollouts, score(scorer, rollouts), strict=True):
        owed = answer is not None and not isinstance(prompt.reference, PreferenceReference)
        if verdict.score is None:
            wrong.append(f"{rollout.id} (task {prompt.task!r}): {verdict.failure}")
        elif owed and verdict.score.value < FULL_MARKS:
            wrong.append(
                f"{rollout.id} (task {prompt.task!r}): its own reference, {rollout.completion!r}, is paid "
                f"{verdict.score.value:g} ({verdict.score.reason})"
            )
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise PreflightError(
            f"{len(wrong)} of {len(prompts)} references cannot be judged or are not paid in full; training would learn "
            "from wrong rewards:\n" + "\n".join(wrong[:_SHOWN] + more)
        )
    return dict(Counter(prompt.task for prompt in prompts))
