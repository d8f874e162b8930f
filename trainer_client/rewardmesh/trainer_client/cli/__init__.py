"""The `rewardmesh-train` command: one file per subcommand. What they run is imported when they run."""

from rewardmesh.trainer_client.cli.main import main

__all__ = ["main"]
