"""`rewardmesh-train demo-data`"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.cli.arguments import whole
from rewardmesh.trainer_client.cli.saying import complain, say


def add(commands: Any) -> None:
    """Adds the command and its arguments."""
    parser = commands.add_parser(
        "demo-data",
        help="write the demo's prompts as files",
        description="Writes the demo's prompts, pictures and references, a file of JSON lines for each task. The "
        "completions are right answers.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to; made if need be")
    parser.add_argument("--count", type=whole, default=1000, help="prompts of each task (%(default)s)")
    parser.add_argument("--held-out", action="store_true", help="prompts that the demo never trains on")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from rewardmesh.trainer_client.demo.data import write_data

    try:
        files = write_data(options.folder, options.count, held_out=options.held_out)
    except OSError as error:
        return complain(str(error))
    for path in files.values():
        say(str(path))
    return 0
