"""Which task a rollout belongs to and which reward scores it. Never by the completion: the policy must not choose."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import UnclassifiedError, UnknownRewardError
from rewardmesh.rewards.registry import discover
from rewardmesh.router.settings import Rule

TASK_OF_REFERENCE = {
    "math": "math",
    "boxes": "grounding",
    "point": "point",
    "count": "counting",
    "segments": "temporal",
    "action": "action",
    "preference": "preference",
}


class Classification(NamedTuple):
    """The task, the reward that scores it, and which rule decided."""

    task: str
    reward: str
    why: str


class Classifier:
    """Classifies rollouts: by their task, else their source, else their reference's type, else rules on the prompt.

    Args:
        sources: Data set -> task.
        rules: Regular expressions looked for in the prompt.
    """

    def __init__(self, sources: Mapping[str, str], rules: Sequence[Rule]) -> None:
        self._sources = sources
        self._rules = [(re.compile(rule.pattern), rule.task) for rule in rules]
        self._installed = frozenset(discover())  # here: looking them up reads files

    def classify(self, envelope: Envelope, served: Mapping[str, Sequence[str]]) -> Classification:
        """The classification of one rollout.

        Args:
            envelope: The rollout. Its task, once found, is written into it, and stays there when no reward scores it.
            served: Task -> the rewards that score it, from `served_tasks`.

        Raises:
            UnclassifiedError: No task was found, or several; the message names the candidates.
            UnknownRewardError: No reward scores the task.
        """
        task, why = self._task(envelope, served)
        envelope.classified(task)
        rewards = served.get(task, ())
        if not rewards:
            raise UnknownRewardError(
                f"no reward scores task {task!r:.80} ({why}); {_listed(served)}{self._hint(task, served)}"
            )
        if len(rewards) > 1:
            raise UnclassifiedError(f"several rewards score task {task!r}: {', '.join(rewards)}; disable all but one")
        return Classification(task, rewards[0], why)

    def _task(self, envelope: Envelope, served: Mapping[str, Sequence[str]]) -> tuple[str, str]:
        if envelope.task:
            return envelope.task, "the rollout names its task"
        if task := self._sources.get(envelope.source):
            return task, f"source {envelope.source!r}"
        kind = envelope.reference_type
        # A plugin's reference type is named after its task.
        if task := TASK_OF_REFERENCE.get(kind) or (kind if kind in served else ""):
            return task, f"a reference of type {kind!r}"
        return self._by_prompt(envelope, served)

    def _by_prompt(self, envelope: Envelope, served: Mapping[str, Sequence[str]]) -> tuple[str, str]:
        prompt = envelope.prompt_text() if self._rules else ""
        found = {task: pattern.pattern for pattern, task in self._rules if pattern.search(prompt)}
        if len(found) == 1:
            [(task, pattern)] = found.items()
            return task, f"the prompt matches '{pattern}'"  # no repr: it doubles a pattern's backslashes
        if found:
            hits = ", ".join(f"{task} ('{pattern}')" for task, pattern in found.items())
            raise UnclassifiedError(f"the prompt matches the rules of several tasks: {hits}; give the rollout a task")
        tried = "it names no task"
        tried += f", source {envelope.source!r:.80} is not in mesh.yaml" if envelope.source else ", no source"
        kind = envelope.reference_type
        tried += f", reference type {kind!r:.80} is no task" if kind else ", no reference"
        hint = self._hint(kind, served)
        raise UnclassifiedError(f"no task found: {tried}, and no rule matches its prompt; {_listed(served)}{hint}")

    def _hint(self, name: str, served: Mapping[str, Sequence[str]]) -> str:
        """What to say of a task that nobody scores, when a reward of its name only has to be switched on."""
        if name not in self._installed or any(name in rewards for rewards in served.values()):
            return ""
        return f"; the reward {name!r} is installed, but mesh.yaml does not list it, or disables it"


def served_tasks(rewards: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Task -> rewards, from reward -> tasks. A reward whose class could not be read serves the task of its own name."""
    served: dict[str, list[str]] = {}
    for name, tasks in rewards.items():
        for task in tasks or (name,):
            served.setdefault(task, []).append(name)
    return served


def _listed(served: Mapping[str, Sequence[str]]) -> str:
    return f"tasks served: {', '.join(sorted(served)) or 'none'}"
