"""`rewardmesh-train report`"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.cli.saying import complain, say


def add(commands: Any) -> None:
    """Adds the command and its arguments."""
    parser = commands.add_parser(
        "report",
        help="how a run's tasks help and hinder each other",
        description="Writes what a run did to each of its tasks: one HTML file, and the same numbers as JSON lines "
        "beside it.",
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--standalone",
        type=_alone,
        action="append",
        default=[],
        metavar="TASK=RUN",
        help="the folder of a run on this task alone, to compare with; may be given for several tasks",
    )
    parser.add_argument("--out", type=Path, default=None, help="the HTML file (report.html in the run's folder)")
    parser.set_defaults(run=_run)


def _alone(text: str) -> tuple[str, Path]:
    task, separator, folder = text.partition("=")
    if not (task and separator and folder):
        raise argparse.ArgumentTypeError(f"must be TASK=RUN, got {text!r}")
    return task, Path(folder)


def _run(options: argparse.Namespace) -> int:
    from rewardmesh.trainer_client.interference.report import write_report
    from rewardmesh.trainer_client.logs.folder import METRICS

    out: Path = options.out or options.folder / "report.html"
    alone = {task: folder / METRICS for task, folder in options.standalone}
    try:
        alarms = write_report(options.folder / METRICS, out, alone)
    except (ValueError, OSError) as error:
        return complain(str(error))
    for alarm in alarms:
        say(f"step {alarm.step}: {alarm.kind}: {alarm.task}: {alarm.message}")
    say(f"{out} and {out.with_suffix('.jsonl').name}: {len(alarms)} warnings")
    return 0
