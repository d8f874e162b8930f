"""Before training: does every reward pay for the truth?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rewardmesh.contract.as_answer import as_answer
from rewardmesh.contract.reference import PreferenceReference
from rewardmesh.trainer_client.rollout import Prompt, Scorer, score

# Coordinates may pass through JSON and a change of space on their way; what is paid less than this is another answer.
FULL_MARKS = 1.0 - 1e-6
# A wrong set-up fails every rollout alike: a few tell the story.
_SHOWN = 5


class PreflightError(RuntimeError):
    """Training must not start: a reference cannot be judged, or is not paid in full."""


def preflight(prompts: Sequence[Prompt], scorer: Scorer) -> dict[str, int]:
    """Has each prompt's reference scored as if the policy had answered it.

    A preference has no right answer: it must be judged, whatever its score.

    Returns:
        How many references were checked, by task. Prompts whose reference states no answer (a plugin's) are not.

    Raises:
        PreflightError: Names the rollouts, their tasks and what is wrong with them.
    """
    answers = [(prompt, as_answer(prompt.reference)) for prompt in prompts]
    pairs = [(prompt, prompt.rollout(answer)) for prompt, answer in answers if answer is not None]
    wrong: list[str] = []
    for (prompt, rollout), verdict in zip(pairs, score(scorer, [r for _, r in pairs]), strict=True):
        if verdict.score is None:
            wrong.append(f"{rollout.id} (task {prompt.task!r}): {verdict.failure}")
        elif verdict.score.value < FULL_MARKS and not isinstance(prompt.reference, PreferenceReference):
            wrong.append(
                f"{rollout.id} (task {prompt.task!r}): its own reference, {rollout.completion!r}, is paid "
                f"{verdict.score.value:g} ({verdict.score.reason})"
            )
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise PreflightError(
            f"{len(wrong)} of {len(pairs)} references are not paid in full; training would learn from wrong rewards:\n"
            + "\n".join(wrong[:_SHOWN] + more)
        )
    return dict(Counter(prompt.task for prompt, _ in pairs))
