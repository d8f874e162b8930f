"""`rewardmesh-train experiment`"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.cli.arguments import add_mesh, whole
from rewardmesh.trainer_client.cli.saying import complain, say


def add(commands: Any) -> None:
    """Adds the command and its arguments."""
    parser = commands.add_parser(
        "experiment",
        help="compare ways to train",
        description="Trains several times from one start and says what the numbers allow to say: result.json, "
        "result.md, result.html and pictures. With --size cpu within 20 minutes on two cores.",
    )
    parser.add_argument("name", choices=("onpolicy-vs-vanilla", "interference"), help="what is compared")
    add_mesh(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the results")
    parser.add_argument("--size", choices=("cpu", "gpu"), default="cpu", help="how long, and where (%(default)s)")
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="a checkpoint to start from (the demo's tiny model)"
    )
    parser.add_argument(
        "--tasks", type=lambda text: tuple(text.split(",")), default=(), help="of the demo's, A,B (all)"
    )
    parser.add_argument("--seeds", type=whole, help="runs of each way to train, 2 or more (by size)")
    parser.add_argument("--steps", type=whole, help="training steps of each run (by size)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from rewardmesh.trainer_client.demo.mesh import MeshError
    from rewardmesh.trainer_client.experiments.show import show
    from rewardmesh.trainer_client.experiments.size import sized
    from rewardmesh.trainer_client.rollout import RewardsFailedError
    from rewardmesh.trainer_client.training.descent import GradientError
    from rewardmesh.trainer_client.training.preflight import PreflightError

    try:
        size = sized(options.size, options.tasks, options.seeds, options.steps)
        show(options.name, size, options.target, options.config, options.out, options.model, say)
    except (MeshError, PreflightError, RewardsFailedError, GradientError, ValueError, OSError) as error:
        return complain(str(error))
    return 0
