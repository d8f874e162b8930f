"""Trains as the settings say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rewardmesh.trainer_client.job.prompts import JsonlPrompts, PromptsError
from rewardmesh.trainer_client.job.saved_model import save_model
from rewardmesh.trainer_client.job.settings import RunSettings
from rewardmesh.trainer_client.job.values import SettingsError
from rewardmesh.trainer_client.logs.folder import open_logs
from rewardmesh.trainer_client.logs.lines import publish
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.mixing.schedule import CalendarCurriculum, Schedule
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.mixing.worst_task import WorstTask
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.sync import SyncRewardClient
from rewardmesh.trainer_client.training.checkpoint import Checkpoints
from rewardmesh.trainer_client.training.preflight import preflight
from rewardmesh.trainer_client.training.run import CHECKPOINTS
from rewardmesh.trainer_client.training.trainer import Trainer

MODEL = "model"
SETTINGS = "settings.json"
CONNECT_SECONDS = 10.0  # a router that is there answers at once


class ModelError(ValueError):
    """The model cannot be loaded, or not be trained on-policy."""


def train(settings: RunSettings, say: Callable[[str], None]) -> None:
    """Trains, or goes on training where the run's folder has a checkpoint, and writes the model in the end.

    Args:
        settings: The run's.
        say: Told what a person waits for.

    Raises:
        SettingsError: They fit neither each other nor the checkpoint.
        PromptsError: A file of prompts cannot be used.
        UnavailableError: No router answers.
        PreflightError: The rewards do not pay for the truth.
        CheckpointError: A checkpoint is damaged or of another run.
        RewardsFailedError: Too many rewards failed; what was trained is saved.
        MismatchError: What was sampled is not the policy's.
        ModelError: The model cannot be loaded, or not be trained on-policy.
    """
    prompts = {each.name: JsonlPrompts(each.prompts, each.name, each.task) for each in settings.sources}
    sources = _sources(settings, prompts)
    mixture = _mixture(settings, sources)
    _keep_to(settings, prompts)
    rewards = _rewards(settings)
    with ExitStack() as stack:
        pins = {name: digest for name, (_, digest) in rewards.items()}
        client = stack.enter_context(SyncRewardClient(settings.router, timeout=settings.reward_timeout, pins=pins))
        for name, (version, digest) in rewards.items():
            say(f"reward {name} {version} {digest[:12]}")
        if settings.preflight:
            checked = preflight([p for s in sources for p in _some(s.prompts, settings.preflight)], client)
            say("references paid in full: " + ", ".join(f"{count} {task}" for task, count in checked.items()))

        policy = _loaded(settings)
        say(f"{sum(p.numel() for p in policy.model.parameters()):,} parameters on {policy.device}")
        begun = Checkpoints(settings.out / CHECKPOINTS).newest
        if begun is not None:
            say(f"going on after {begun} steps")
        logs = open_logs(settings.out, settings.steps, settings.wandb or None)
        for log in logs:
            stack.callback(log.close)
        generation = HfGeneration(policy, settings.sampling)
        trainer = Trainer(policy, generation, client, mixture, settings.trainer, logs)
        trainer.run(settings.steps, settings.out, checkpoint_every=settings.checkpoint_every)
    save_model(policy, settings.model, settings.out / MODEL)
    say(f"the model is in {settings.out / MODEL}")


def _loaded(settings: RunSettings) -> Policy:
    try:
        return Policy.load(settings.model, settings.compute, settings.device)
    except (OSError, ValueError) as error:
        raise ModelError(f"{settings.model}: {error}") from error


def _sources(settings: RunSettings, prompts: Mapping[str, JsonlPrompts]) -> list[Source]:
    owner: dict[str, str] = {}
    for each in settings.sources:
        for id in prompts[each.name].ids:
            if id in owner:
                raise PromptsError(f"{each.prompts}: the id {id!r} is in source {owner[id]!r} too")
            owner[id] = each.name
    return [Source(s.name, prompts[s.name].task, prompts[s.name], s.weight) for s in settings.sources]


def _mixture(settings: RunSettings, sources: Sequence[Source]) -> Mixture:
    schedule: Schedule | None = None
    tasks = list(dict.fromkeys(source.task for source in sources))
    try:
        if settings.schedule == "worst_task":
            schedule = WorstTask(tasks)
        elif settings.schedule != "fixed":
            schedule = CalendarCurriculum([(stage.start, stage.weights) for stage in settings.schedule])
        mixture = Mixture(
            sources,
            schedule,
            seed=settings.trainer.seed,
            easy_probability=settings.easy_probability,
            redraw=settings.redraw,
        )
        for start in [0] if isinstance(settings.schedule, str) else [stage.start for stage in settings.schedule]:
            mixture.shares(start)
    except ValueError as error:
        raise SettingsError(f"schedule: {error}") from None
    named = {*settings.trainer.gdpo, *settings.trainer.task_scale}
    if unknown := sorted(named - set(tasks)):
        raise SettingsError(f"trainer: no source has the task {unknown[0]!r}; there are {', '.join(tasks)}")
    return mixture


def _keep_to(settings: RunSettings, prompts: Mapping[str, JsonlPrompts]) -> None:
    """Writes what the run has to keep to into its folder, or compares it with what is there."""
    ours: dict[str, Any] = {
        "sampling": asdict(settings.sampling),
        "sources": {
            each.name: {"weight": each.weight, "digest": prompts[each.name].digest} for each in settings.sources
        },
        "schedule": settings.schedule if isinstance(settings.schedule, str) else [asdict(s) for s in settings.schedule],
        "redraw": settings.redraw,
        "easy_probability": settings.easy_probability,
        "compute": settings.compute,
    }
    path = settings.out / SETTINGS
    if Checkpoints(settings.out / CHECKPOINTS).newest is not None and path.exists():
        theirs = json.loads(path.read_text(encoding="utf-8"))
        for name, value in ours.items():
            if theirs.get(name) != value:
                raise SettingsError(
                    f"{settings.out} was trained with {name} {theirs.get(name)}, now it is {value}. Train in another "
                    "folder, or as before"
                )
    part = path.with_suffix(".part")
    part.write_text(json.dumps(ours, indent=2), encoding="utf-8")
    publish(part, path)


def _rewards(settings: RunSettings) -> dict[str, tuple[str, str]]:
    """Version and digest of each reward that the router serves."""
    with SyncRewardClient(settings.router, timeout=CONNECT_SECONDS) as first:
        return {reward.name: (reward.version, reward.digest) for reward in first.rewards()}


def _some(prompts: Any, most: int) -> list[Any]:
    """At most so many, from all over."""
    return [prompts[place * len(prompts) // min(most, len(prompts))] for place in range(min(most, len(prompts)))]
