"""A program that trains in children of its own, which are killed. A line of JSON in, a line out, for each child.

    {"folder": PATH}                     the child trains until it is done
    {"folder": PATH, "lines": 5}         its parent kills it soon after its metrics have so many lines
    {"folder": PATH, "at": ["save", 2]}  it kills itself at its second call of `torch.save`, when half of the file is
                                         written, or just before another call that changes files; see CHANGES

Children are forked, so that torch is imported once. Answered is {"killed": true or false}.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rewardmesh.contract import Rollout, Score, Verdict
from rewardmesh.trainer_client.demo.tasks import WORDS, make_prompt
from rewardmesh.trainer_client.logs.jsonl import JsonlLog
from rewardmesh.trainer_client.logs.parquet import ParquetLog
from rewardmesh.trainer_client.mixing.mixture import Mixture
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.mixing.worst_task import WorstTask
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.trainer import Trainer

STEPS = 6
TASKS = ("counting", "temporal")
CHANGES: dict[str, Any] = {"save": torch, "fsync": os, "truncate": os, "replace": Path, "unlink": Path}


class Digits:
    """Pays for digits; a pure function of the rollout, as rewards are."""

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(r.id, Score(min(1.0, sum(map(str.isdigit, r.completion)) / 2)), r.task) for r in rollouts]


def train(folder: Path) -> None:
    policy = Policy.tiny(WORDS, seed=1)
    policy.model.load_state_dict(torch.load(folder.parent / "taught.pt"))
    sources = [Source(task, task, [make_prompt(task, n)[0] for n in range(5)]) for task in TASKS]
    mixture = Mixture(sources, WorstTask(TASKS), seed=4, easy_probability=0.5)
    config = TrainerConfig(prompts_per_step=4, max_redraws=1, learning_rate=1e-3, decay_steps=4, seed=3)
    logs = [JsonlLog(folder / "metrics.jsonl"), ParquetLog(folder / "rollouts", steps_per_file=2)]
    generation = HfGeneration(policy, SamplingConfig(group_size=4, max_tokens=5))
    Trainer(policy, generation, Digits(), mixture, config, logs).run(STEPS, folder, checkpoint_every=2)


def deadly(name: str, call: int) -> None:
    """Makes this call of a function the last thing the process does."""
    owner, change, count = CHANGES[name], getattr(CHANGES[name], name), itertools.count(1)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(count) == call:
            if name == "save":
                change(*args, **kwargs)
                os.truncate(args[1], os.path.getsize(args[1]) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*args, **kwargs)

    setattr(owner, name, wrapped)


def child(order: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    if "at" in order:
        deadly(*order["at"])
    train(Path(order["folder"]))


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                child(order)
                status = 0
            finally:
                os._exit(status)
        if "lines" in order:
            metrics = Path(order["folder"]) / "metrics.jsonl"
            while metrics.read_bytes().count(b"\n") < order["lines"]:
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not killed and status:
            sys.exit(f"the child ended with {status}")
        print(json.dumps({"killed": killed}), flush=True)


if __name__ == "__main__":
    main()
