"""The subcommands, their arguments, and what a user sees when they fail: one line, never a traceback.

Exit codes: 0 when every line was answered (a Failure is an answer), 1 when something was wrong at run time, 2 for wrong
usage. The subcommands' modules are imported when they run: `rewardmesh --help` needs none of the server's packages.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.router.cli.rm import add_arguments, check

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code (argparse itself exits with 2)."""
    # grpc's core logs every failed bind and lost connection to stderr by itself; we say these things in one line.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault(
        "HF_HUB_DISABLE_PROGRESS_BARS", "1"
    )  # transformers draws one for every model it loads or saves
    parser = _parser()
    arguments = parser.parse_args(argv)
    if getattr(arguments, "target", None) is not None and arguments.config is not None:
        parser.error(f"{arguments.command}: --config is of no use with --target: the router there has its own")
    if arguments.command == "rm" and (wrong := check(arguments)):
        parser.error(wrong)
    if sys.stdout is None:
        return _complain("stdout is closed: there is nowhere to answer; give it a file, or > /dev/null")
    try:
        return _run(arguments)
    except BrokenPipeError:  # the reader (`head`, say) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains again when it flushes at exit
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        extra = "rm" if arguments.command == "rm" else "server"
        return _complain(f"the module {error.name!r} is missing: pip install 'rewardmesh[{extra}]'")
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        return _complain(f"{error.filename}: {error.strerror}" if named else str(error))
    except RewardMeshError as error:
        return _complain(str(error))


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            from rewardmesh.router.cli.up import up

            up(arguments.config, arguments.engine)
        case "score":
            from rewardmesh.router.cli.score import score

            score(arguments.file, arguments.target, arguments.engine or "local", arguments.config)
        case "eval":
            from rewardmesh.router.cli.eval import evaluate

            engine = arguments.engine or "local"
            evaluate(arguments.file, arguments.target, engine, arguments.config, arguments.json)
        case "classify":
            from rewardmesh.router.cli.classify import classify

            classify(arguments.file, arguments.config)
        case "rewards":
            from rewardmesh.router.cli.rewards import rewards

            rewards(arguments.target, arguments.config)
        case _:
            from rewardmesh.router.cli.rm import run

            run(arguments)
    return OK


def _complain(message: str) -> int:
    line = " ".join(message.split())
    if sys.stderr is not None:  # it may be closed
        sys.stderr.write(f"rewardmesh: {line}\n")
    return FAILED


def _target(text: str) -> str:
    from rewardmesh.trainer_client.channel import checked_target

    try:
        return checked_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("rewardmesh", description="Reward-as-a-Service for reinforcement learning.")
    parser.add_argument("--version", action="version", version=f"rewardmesh {version('rewardmesh')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")

    up = command("up", "run a router until Ctrl-C")
    score = command("score", "score rollouts, here or by a router: one verdict a line, in order")
    eval_ = command("eval", "score rollouts: mean rewards and official metrics per task and source")
    classify = command("classify", "say which task and reward each rollout belongs to, and why; starts no reward")
    rewards = command("rewards", "list rewards, installed here or served by a router: one JSON object a line")
    places = [each.add_mutually_exclusive_group() for each in (score, eval_)]
    for each in (score, eval_, classify):
        each.add_argument("file", metavar="FILE", help="rollouts, one JSON object a line; - for stdin")
    eval_.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    for each in (up, score, eval_, classify, rewards):
        each.add_argument(
            "--config", metavar="MESH_YAML", help="settings (default: every installed reward, on loopback)"
        )
    for each, default in ((up, "what MESH_YAML says, else serve"), *((where, "local") for where in places)):
        text = f"where rewards run: on Ray Serve, or on this machine without a cluster (default: {default})"
        each.add_argument("--engine", choices=["serve", "local"], help=text)
    for each in (*places, rewards):
        each.add_argument("--target", type=_target, metavar="HOST:PORT", help="ask the router that runs there")
    add_arguments(command("rm", "make and measure models for the preference reward"))
    return parser
