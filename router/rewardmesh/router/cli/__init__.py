"""The `rewardmesh` command."""

from rewardmesh.router.cli.main import main

__all__ = ["main"]
