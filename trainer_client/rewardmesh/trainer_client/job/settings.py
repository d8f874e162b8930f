"""The settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rewardmesh.trainer_client.mixing.easy_pool import RESAMPLE_PROBABILITY
from rewardmesh.trainer_client.mixing.mixture import Redraw
from rewardmesh.trainer_client.policy.policy import Compute
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.training.config import TrainerConfig


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A file of prompts.

    Attributes:
        name: Unique in the run.
        prompts: The JSONL file.
        task: Of prompts that name none.
        weight: Its share beside the others.
    """

    name: str
    prompts: Path
    task: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a curriculum: from this step on, tasks have these weights."""

    start: int
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """All that a run needs to know. Paths in the file are relative to it.

    Attributes:
        model: Folder of a Hugging Face checkpoint.
        sources: What is trained on.
        out: The run's folder: checkpoints, logs, and in the end the model.
        steps: How many.
        router: Where the rewards come from; several, separated by commas, share the work.
        sampling: How completions are sampled.
        trainer: How the policy is trained.
        schedule: "fixed", "worst_task", or the stages of a curriculum.
        redraw: What replaces groups that taught nothing; see `mixing.mixture`.
        easy_probability: How often a prompt that the policy has mastered is drawn again.
        compute: What matrices are multiplied in; weights stay float32.
        device: Where: "auto" is the first GPU, if there is one.
        checkpoint_every: Steps.
        preflight: How many prompts of each source have their references scored before training; 0: none.
        reward_timeout: Seconds that a reward may take, retries of the client included.
        wandb: The project to send curves to; empty: none.
    """

    model: Path
    sources: tuple[SourceSettings, ...]
    out: Path
    steps: int
    router: str
    sampling: SamplingConfig
    trainer: TrainerConfig
    schedule: Literal["fixed", "worst_task"] | tuple[Stage, ...] = "fixed"
    redraw: Redraw = "same_task"
    easy_probability: float = RESAMPLE_PROBABILITY
    compute: Compute = "float32"
    device: str = "auto"
    checkpoint_every: int = 20
    preflight: int = 64
    reward_timeout: float = 60.0
    wandb: str = ""


# Of `TrainerConfig`, where a checkpoint of real size needs others than the demo's tiny model.
TRAINER_DEFAULTS: Mapping[str, Any] = {"learning_rate": 1e-6, "micro_batch": 8, "prompts_per_wave": 4}
SAMPLING_DEFAULTS: Mapping[str, Any] = {"group_size": 8, "max_tokens": 1024}
