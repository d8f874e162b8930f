"""`rewardmesh-train run`"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.cli.arguments import target, whole
from rewardmesh.trainer_client.cli.saying import complain, say


def add(commands: Any) -> None:
    """Adds the command and its arguments."""
    parser = commands.add_parser(
        "run",
        help="train a model on your own prompts",
        description="Trains a Hugging Face checkpoint by on-policy GRPO, on prompts in JSONL files, with rewards from "
        "a router. Killed or stopped, it goes on where it was when it is started again.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="TRAIN_YAML", help="the run's settings")
    parser.add_argument("--target", type=target, metavar="HOST:PORT", help="the router, in place of the settings'")
    parser.add_argument("--out", type=Path, help="the run's folder, in place of the settings'")
    parser.add_argument("--steps", type=whole, help="how many steps altogether, in place of the settings'")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from rewardmesh.trainer_client.job.job import ModelError, train
    from rewardmesh.trainer_client.job.prompts import PromptsError
    from rewardmesh.trainer_client.job.reading import read_settings
    from rewardmesh.trainer_client.job.values import SettingsError
    from rewardmesh.trainer_client.policy.mismatch import MismatchError
    from rewardmesh.trainer_client.rollout import RewardsFailedError
    from rewardmesh.trainer_client.training.checkpoint import CheckpointError
    from rewardmesh.trainer_client.training.descent import GradientError
    from rewardmesh.trainer_client.training.preflight import PreflightError

    instead = {"router": options.target, "out": options.out, "steps": options.steps}
    try:
        settings = read_settings(options.config)
        settings = replace(settings, **{name: value for name, value in instead.items() if value is not None})
        train(settings, say)
    except (SettingsError, PromptsError, ModelError, CheckpointError) as error:
        return complain(str(error))
    except (PreflightError, RewardsFailedError, MismatchError, GradientError) as error:
        return complain(str(error))
    return 0
