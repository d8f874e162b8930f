"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_mesh(parser: argparse.ArgumentParser) -> None:
    """Adds `--target` and `--config`: where the rewards come from."""
    where = parser.add_mutually_exclusive_group()
    runs = "a router that runs; without it the command starts its own"
    where.add_argument("--target", type=target, metavar="HOST:PORT", help=runs)
    where.add_argument("--config", type=Path, metavar="MESH_YAML", help="of the router that the command starts")


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text!r}")
    return int(text)


def target(text: str) -> str:
    """A router's HOST:PORT."""
    from rewardmesh.trainer_client.channel import checked_target

    try:
        return checked_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
