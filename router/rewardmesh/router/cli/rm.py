"""`rewardmesh rm`: trains, calibrates and evaluates models for the preference reward."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.rewards.preference.calibration import METHODS
from rewardmesh.router.cli.lines import write

if TYPE_CHECKING:  # torch is an extra, and slow to import
    from rewardmesh.rewards.preference.evaluation.evaluate import Accuracy
    from rewardmesh.rewards.preference.training.train import Report

FORMATS = ("pairs", "bon", "rewardbench", "llmbar")
DEMOS = ("text", "multimodal")
# By their names in `fit.Options`.
_OPTIONS = ("epochs", "batch", "learning_rate", "max_tokens", "seed", "freeze_vision", "lora", "save_every")
_DATA_ONLY = ("data", "base", "held_out", "method", "resume", *(name for name in _OPTIONS if name != "seed"))


class RmError(RewardMeshError, RuntimeError):
    """A model could not be trained, calibrated or evaluated; the message says why."""


def add_arguments(rm: argparse.ArgumentParser) -> None:
    """The actions of `rewardmesh rm` and their arguments."""
    actions = rm.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, does: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")

    train = action("train", "train a reward model on preference pairs and write its calibrated checkpoint")
    train.add_argument("--data", metavar="PAIRS.jsonl", help="prompt, chosen, rejected; perhaps margin and images")
    train.add_argument("--base", metavar="MODEL_DIR", help="the language model to start from: a local checkpoint")
    train.add_argument("--out", metavar="DIR", required=True, help="the checkpoint's folder (required)")
    train.add_argument(
        "--demo",
        nargs="?",
        choices=(*DEMOS, "both"),
        const="both",
        help="train a small model on built-in synthetic pairs instead; both (the default) go into DIR/text and so on",
    )
    train.add_argument("--epochs", type=_whole(1), metavar="N", help="how often each pair is seen (default: 1)")
    train.add_argument("--batch", type=_whole(1), metavar="N", help="pairs per step (default: 16)")
    train.add_argument("--lr", dest="learning_rate", type=_rate, metavar="RATE", help="default: 1e-4")
    train.add_argument(
        "--max-tokens", type=_whole(1), metavar="N", help="leave pairs out that are longer (default: 4096)"
    )
    train.add_argument("--seed", type=_whole(0), metavar="N", help="default: 0")
    train.add_argument("--held-out", type=_share, metavar="SHARE", help="of the prompts, to evaluate on (default: 0.1)")
    train.add_argument("--freeze-vision", action="store_true", default=None, help="leave the vision encoder as it is")
    train.add_argument("--lora", type=_whole(1), metavar="RANK", help="train low-rank adapters, merged at the end")
    train.add_argument("--method", choices=METHODS, help="of the calibration (default: sigmoid)")
    train.add_argument(
        "--save-every", type=_whole(1), metavar="N", help="steps between two saves to resume from (default: 200)"
    )
    train.add_argument("--resume", action="store_true", default=None, help="go on where a training was interrupted")

    calibrate = action("calibrate", "fit a checkpoint's calibration on pairs and write its golden scores")
    calibrate.add_argument("--data", metavar="PAIRS.jsonl", required=True, help="as for train; none it was trained on")
    calibrate.add_argument("--method", choices=METHODS, default="sigmoid", help="default: sigmoid")

    evaluate = action("eval", "say how often a checkpoint prefers the right completion, by subset")
    evaluate.add_argument("file", metavar="FILE", help="one JSON object a line")
    evaluate.add_argument("--format", choices=FORMATS, default="pairs", help="the file's (default: pairs)")
    evaluate.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    for each in (calibrate, evaluate):
        each.add_argument("--checkpoint", metavar="DIR", required=True, help="the reward model's folder (required)")
        each.add_argument(
            "--head-output", type=_whole(0), metavar="N", help="which of the head's outputs, where it has several"
        )


def check(arguments: argparse.Namespace) -> str | None:
    """What is wrong with a combination of arguments, if anything is."""
    if arguments.action != "train":
        return None
    if arguments.demo is not None:
        given = [name for name in _DATA_ONLY if getattr(arguments, name) is not None]
        flags = ", ".join(f"--{'lr' if name == 'learning_rate' else name.replace('_', '-')}" for name in given)
        return f"rm train: {flags}: of no use with --demo, which has its own" if given else None
    absent = [f"--{name}" for name in ("data", "base") if getattr(arguments, name) is None]
    return f"rm train: {' and '.join(absent)} missing (or train a --demo)" if absent else None


def run(arguments: argparse.Namespace) -> None:
    """Runs an action.

    Raises:
        OSError: A file cannot be read or written.
        RmError: Anything else is wrong; its message is for the user.
    """
    action = {"train": _train, "calibrate": _calibrate, "eval": _evaluate}[arguments.action]
    try:
        action(arguments)
    except (OSError, RewardMeshError, ImportError):
        raise
    except ValueError as error:  # ours, and they say what is wrong
        raise RmError(str(error)) from error
    except Exception as error:  # whatever transformers and safetensors raise for a damaged checkpoint
        raise RmError(f"{type(error).__name__}: {error}") from error


def _train(arguments: argparse.Namespace) -> None:
    out = Path(arguments.out)
    if arguments.demo is not None:
        from rewardmesh.rewards.preference.demo.multimodal import train_multimodal_demo
        from rewardmesh.rewards.preference.demo.text import train_demo

        trainers = {"text": train_demo, "multimodal": train_multimodal_demo}
        for name in DEMOS if arguments.demo == "both" else (arguments.demo,):
            folder = out / name if arguments.demo == "both" else out
            _report(trainers[name](folder, arguments.seed or 0), folder, " synthetic")
            write(["a demo, never human preference"])
        return
    from rewardmesh.rewards.preference.training.fit import Options
    from rewardmesh.rewards.preference.training.pair_file import read_pairs
    from rewardmesh.rewards.preference.training.split import split
    from rewardmesh.rewards.preference.training.train import train

    options = Options(**{name: value for name in _OPTIONS if (value := getattr(arguments, name)) is not None})
    base = _folder(arguments.base)
    share = 0.1 if arguments.held_out is None else arguments.held_out
    training, held_out = split(read_pairs(Path(arguments.data)), share, options.seed)
    method = arguments.method or "sigmoid"
    report = train(training, held_out, base, out, options, method, arguments.resume is True, _tell)
    _report(report, out)


def _calibrate(arguments: argparse.Namespace) -> None:
    from rewardmesh.rewards.preference.checkpoint import Checkpoint
    from rewardmesh.rewards.preference.training.calibrate import calibrate
    from rewardmesh.rewards.preference.training.pair_file import read_pairs

    folder = _folder(arguments.checkpoint)
    pairs = read_pairs(Path(arguments.data))
    # Golden scores are float32's.
    found = calibrate(Checkpoint(folder, dtype="float32", output=arguments.head_output), pairs, arguments.method)
    write([found.summary, f"wrote calibration.json and golden.json into {folder}"])


def _evaluate(arguments: argparse.Namespace) -> None:
    from rewardmesh.rewards.preference.checkpoint import Checkpoint
    from rewardmesh.rewards.preference.evaluation.benchmark import read_trials
    from rewardmesh.rewards.preference.evaluation.evaluate import evaluate

    folder = _folder(arguments.checkpoint)
    trials = read_trials(Path(arguments.file), arguments.format)
    found = evaluate(Checkpoint(folder, output=arguments.head_output), trials)
    if arguments.json:
        rows = [_to_json(row) for row in found]
        write([json.dumps({"format": arguments.format, "all": rows[-1], "subsets": rows[:-1]}, ensure_ascii=False)])
    else:
        write(_table(found))


def _report(report: Report, out: Path, kind: str = "") -> None:
    by_kind = ", ".join(f"{name} {share:.0%}" for name, share in report.by_kind.items())
    accuracy = f"held-out accuracy {report.accuracy:.1%} on {report.held_out}{kind} pairs"
    left_out = f" ({report.too_long} more were too long)" if report.too_long else ""
    write(
        [
            f"trained {report.trained:,} of {report.parameters:,} parameters on {report.pairs}{kind} pairs{left_out}",
            accuracy + (f" ({by_kind})" if by_kind else "")
            if report.held_out
            else "nothing was held out to evaluate on",
            report.calibration.summary,
            f"wrote {out}",
        ]
    )


def _table(found: Sequence[Accuracy]) -> list[str]:
    cells = [("subset", "trials", "accuracy", "95 % interval", "ties", "notes")]
    for row in found:
        low, high = row.interval
        notes = [f"{row.unread} with an answer too long to read"] if row.unread else []
        notes += [f"{row.cut} with a cut prompt"] if row.cut else []
        interval = f"{low:.1%} to {high:.1%}"
        cells.append(
            (row.subset or "-", str(row.trials), f"{row.share:.1%}", interval, str(row.ties), "; ".join(notes))
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _to_json(row: Accuracy) -> dict[str, Any]:
    return {
        "subset": row.subset,
        "trials": row.trials,
        "accuracy": row.share,
        "interval": list(row.interval),
        "ties": row.ties,
        "unread": row.unread,
        "cut": row.cut,
    }


def _folder(name: str) -> Path:
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise RmError(f"{name} is no model's folder: it has no config.json")
    return folder


def _tell(text: str) -> None:
    if sys.stderr is not None:  # it may be closed
        sys.stderr.write(f"{text}\n")


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}; got {text!r}")
        return int(text)

    return read


def _rate(text: str) -> float:
    return _number(text, lambda value: value > 0, "above 0")


def _share(text: str) -> float:
    return _number(text, lambda value: 0 <= value < 1, "at least 0 and below 1")


def _number(text: str, fits: Callable[[float], bool], which: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"must be a number {which}; got {text!r}")
    return value
