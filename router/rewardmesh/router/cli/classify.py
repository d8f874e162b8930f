"""`rewardmesh classify`: which task and which reward each rollout of a file belongs to, and why. Starts no reward."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.contract.json_form import verdict_to_json
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.rewards.base import traits
from rewardmesh.rewards.registry import load
from rewardmesh.router.classify import Classifier, served_tasks
from rewardmesh.router.cli.lines import batches, opened, write
from rewardmesh.router.settings import Settings


def classify(path: str, config: str | None) -> None:
    """Writes {"id", "task", "reward", "why"} or {"id", "failure"} a line. Raises OSError, SettingsError."""
    settings = Settings.load(config)
    classifier = Classifier(settings.sources, settings.rules)
    served = served_tasks({spec.name: _tasks(spec.name) for spec in settings.specs()})
    with opened(path) as file:
        for batch in batches(file):
            write(_line(item, classifier, served) for item in batch.items)


def _line(item: Rollout | Verdict, classifier: Classifier, served: Mapping[str, Sequence[str]]) -> str:
    if isinstance(item, Verdict):
        return _failed(item)
    try:
        task, reward, why = classifier.classify(Envelope.seal(item), served)
    except RewardMeshError as error:
        return _failed(Verdict(item.id, Failure.from_error(error)))
    return json.dumps({"id": item.id, "task": task, "reward": reward, "why": why}, ensure_ascii=False)


def _failed(verdict: Verdict) -> str:
    whole = verdict_to_json(verdict)
    return json.dumps({"id": whole["id"], "failure": whole["failure"]}, ensure_ascii=False)


def _tasks(name: str) -> tuple[str, ...]:
    try:
        return traits(load(name)).tasks
    except RewardMeshError:  # as on a router: it serves the task of its own name, and answers that it is not ready
        return (name,)
