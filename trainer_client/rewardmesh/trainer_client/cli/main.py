"""rewardmesh-train: the trainer's side of the mesh on a command line."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence

from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.trainer_client.cli import demo, demo_data, experiment, report, run
from rewardmesh.trainer_client.cli.saying import INTERRUPTED, complain


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 1 when it could not be done; argparse exits with 2."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else its core logs every lost connection; we say so in one line
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        return options.run(options)
    except ModuleNotFoundError as error:
        return complain(f"{error.name} is not installed; training needs: pip install 'rewardmesh[train]'")
    except RewardMeshError as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rewardmesh-train", description="Trains with rewards from a RewardMesh.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in (run, demo, demo_data, experiment, report):
        command.add(commands)
    return parser
