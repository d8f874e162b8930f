"""rewardmesh-train: the trainer's side of the mesh on a command line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rewardmesh.contract.errors import RewardMeshError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 1 when training could not run; argparse exits with 2."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else its core logs every lost connection; we say so in one line
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    return _demo(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rewardmesh-train", description="Trains with rewards from a RewardMesh.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train a tiny vision-language model",
        description="Scores a mixed batch, then trains a tiny vision-language model by on-policy GRPO, with rewards "
        "from a mesh. A few minutes on two cores.",
    )
    where = demo.add_mutually_exclusive_group()
    runs = "a router that runs; without it the demo starts its own"
    where.add_argument("--target", type=_target, metavar="HOST:PORT", help=runs)
    where.add_argument("--config", type=Path, metavar="MESH_YAML", help="of the router that the demo starts")
    demo.add_argument("--seed", type=int, default=0, help="of weights, prompts and samples (%(default)s)")
    demo.add_argument("--steps", type=_steps, default=None, help="GRPO steps")
    return parser


def _steps(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text!r}")
    return int(text)


def _target(text: str) -> str:
    from rewardmesh.trainer_client.channel import checked_target

    try:
        return checked_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _demo(options: argparse.Namespace) -> int:
    # Not at the top: `--help` and the client work without torch.
    try:
        from rewardmesh.trainer_client.demo.mesh import MeshError
        from rewardmesh.trainer_client.demo.run import STEPS
        from rewardmesh.trainer_client.demo.show import show
        from rewardmesh.trainer_client.rollout import RewardsFailedError
        from rewardmesh.trainer_client.training.preflight import PreflightError
    except ModuleNotFoundError as error:
        return _complain(f"{error.name} is not installed; training needs: pip install 'rewardmesh[train]'")
    steps = STEPS if options.steps is None else options.steps
    try:
        show(options.target, options.config, options.seed, steps, say=_say)
    except (MeshError, PreflightError, RewardsFailedError, RewardMeshError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _complain(message: str) -> int:
    print(f"rewardmesh-train: {message}", file=sys.stderr)  # noqa: T201 -- a CLI prints
    return 1


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- a CLI prints
