"""`rewardmesh-train demo`"""

from __future__ import annotations

import argparse
from typing import Any

from rewardmesh.trainer_client.cli.arguments import add_mesh, whole
from rewardmesh.trainer_client.cli.saying import complain, say


def add(commands: Any) -> None:
    """Adds the command and its arguments."""
    parser = commands.add_parser(
        "demo",
        help="train a tiny vision-language model",
        description="Scores a mixed batch, then trains a tiny vision-language model by on-policy GRPO, with rewards "
        "from a mesh. A few minutes on two cores.",
    )
    add_mesh(parser)
    parser.add_argument("--seed", type=int, default=0, help="of weights, prompts and samples (%(default)s)")
    parser.add_argument("--steps", type=whole, default=None, help="GRPO steps")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from rewardmesh.trainer_client.demo.mesh import MeshError
    from rewardmesh.trainer_client.demo.run import STEPS
    from rewardmesh.trainer_client.demo.show import show
    from rewardmesh.trainer_client.rollout import RewardsFailedError
    from rewardmesh.trainer_client.training.descent import GradientError
    from rewardmesh.trainer_client.training.preflight import PreflightError

    steps = STEPS if options.steps is None else options.steps
    try:
        show(options.target, options.config, options.seed, steps, say=say)
    except (MeshError, PreflightError, RewardsFailedError, GradientError) as error:
        return complain(str(error))
    return 0
