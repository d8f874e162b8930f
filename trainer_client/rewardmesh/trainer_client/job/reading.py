"""Reads the settings of a run from a YAML or JSON file, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import yaml

from rewardmesh.contract.json_shape import Fields, list_of
from rewardmesh.trainer_client.grpo.advantages import Std
from rewardmesh.trainer_client.grpo.losses import Norm
from rewardmesh.trainer_client.job import values
from rewardmesh.trainer_client.job.settings import (
    SAMPLING_DEFAULTS,
    TRAINER_DEFAULTS,
    RunSettings,
    SourceSettings,
    Stage,
)
from rewardmesh.trainer_client.job.values import Read, SettingsError
from rewardmesh.trainer_client.mixing.mixture import Redraw
from rewardmesh.trainer_client.policy.parts import PartRates
from rewardmesh.trainer_client.policy.policy import Compute
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.training.config import Overlong, TrainerConfig

T = TypeVar("T")


def read_settings(path: Path) -> RunSettings:
    """Reads a file.

    Raises:
        SettingsError: There is no such file, it is neither YAML nor JSON, or a field is missing, unknown, of the wrong
            type or out of its range.
    """
    try:
        value: object = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date that is none
        raise SettingsError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return _settings(value, path.parent)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _settings(value: object, folder: Path) -> RunSettings:
    fields = Fields(value, "settings", SettingsError)

    def path(value: object, path: str) -> Path:
        return folder / Path(values.text(value, path)).expanduser()

    def source(value: object, at: str) -> SourceSettings:
        inner = Fields(value, at, SettingsError)
        found = SourceSettings(
            inner.text("name"),
            inner.required("prompts", path),
            inner.text("task", ""),
            inner.optional("weight", values.number, 1.0),
        )
        inner.finish()
        if not found.weight > 0:
            raise SettingsError(f"{at}.weight must be above 0, got {found.weight:g}")
        return found

    read = {
        "model": fields.required("model", path),
        "sources": fields.required("sources", list_of(source, SettingsError)),
        "out": fields.required("out", path),
        "steps": fields.required("steps", values.whole),
        "router": fields.optional("router", values.router, "127.0.0.1:50051"),
        "sampling": fields.optional("sampling", _sampling, SamplingConfig(**SAMPLING_DEFAULTS)),
        "trainer": fields.optional("trainer", _trainer, TrainerConfig(**TRAINER_DEFAULTS)),
    }
    optional: dict[str, Read] = {
        "schedule": _schedule,
        "redraw": values.one_of(Redraw),
        "easy_probability": values.number,
        "compute": values.one_of(Compute),
        "device": values.text,
        "checkpoint_every": values.whole,
        "preflight": values.whole,
        "reward_timeout": values.number,
        "wandb": values.text,
    }
    settings = RunSettings(**read, **_given(fields, optional))
    fields.finish()
    names = [source.name for source in settings.sources]
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"sources must be several with different names, or one; got {names}")
    if not 0 <= settings.easy_probability <= 1:
        raise SettingsError(f"easy_probability must lie in [0, 1], got {settings.easy_probability:g}")
    for name in ("checkpoint_every", "reward_timeout"):
        if not getattr(settings, name) > 0:
            raise SettingsError(f"{name} must be above 0, got {getattr(settings, name):g}")
    return settings


def _sampling(value: object, path: str) -> SamplingConfig:
    readers: dict[str, Read] = {"group_size": values.whole, "max_tokens": values.whole}
    readers |= {"temperature": values.number, "top_p": values.number, "top_k": values.whole}
    return _made(SamplingConfig, value, path, readers, SAMPLING_DEFAULTS)


def _trainer(value: object, path: str) -> TrainerConfig:
    return _made(TrainerConfig, value, path, TRAINER, TRAINER_DEFAULTS)


def _made(
    kind: type[T],
    value: object,
    path: str,
    readers: Mapping[str, Read],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> T:
    """A dataclass of the fields that are given; what it refuses is said with the path."""
    fields = Fields(value, path, SettingsError)
    given = _given(fields, readers)
    fields.finish()
    try:
        return kind(**{**defaults, **given})
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _given(fields: Fields, readers: Mapping[str, Read]) -> dict[str, Any]:
    found = {name: fields.optional(name, read, None) for name, read in readers.items()}
    return {name: value for name, value in found.items() if value is not None}


def _rates(value: object, path: str) -> PartRates:
    fields = Fields(value, path, SettingsError)
    rates = {part: fields.required(part, _rate) for part in ("vision", "projector", "language")}
    fields.finish()
    try:
        return PartRates(**rates)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None


def _rate(value: object, path: str) -> float | None:
    """A rate, or "frozen"."""
    return None if value == "frozen" else values.number(value, path)


def _overlong(value: object, path: str) -> Overlong:
    return _made(Overlong, value, path, {"limit": values.whole, "buffer": values.whole, "factor": values.number})


def _schedule(value: object, path: str) -> Any:
    if isinstance(value, str):
        return values.one_of(Literal["fixed", "worst_task"])(value, path)
    return list_of(_stage, SettingsError)(value, path)


def _stage(value: object, path: str) -> Stage:
    fields = Fields(value, path, SettingsError)
    stage = Stage(fields.required("from", values.whole), fields.required("weights", values.numbers))
    fields.finish()
    return stage


TRAINER: Mapping[str, Read] = {
    **dict.fromkeys(
        ("prompts_per_step", "prompts_per_wave", "micro_batch", "decay_steps", "max_redraws"), values.whole
    ),
    **dict.fromkeys(("retries", "min_valid", "measure_every", "seed"), values.whole),
    **dict.fromkeys(("advantage_epsilon", "learning_rate", "max_gradient_norm", "max_failure_rate"), values.number),
    **dict.fromkeys(("max_mismatch", "importance_cap"), values.number),
    "norm": values.one_of(Norm),
    "advantage_std": values.one_of(Std),
    "gdpo": values.mapping(values.numbers),
    "task_scale": values.numbers,
    "overlong": _overlong,
    "rates": _rates,
}
"""The fields of `TrainerConfig` that a file may set: all but what experiments are made with."""
