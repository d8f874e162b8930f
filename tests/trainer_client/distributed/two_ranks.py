"""The same training in one process and in two, which find each other over a file and talk over the loopback."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch.distributed.tensor import DTensor

from rewardmesh.contract import Rollout, Score, Verdict
from rewardmesh.trainer_client.distributed.ranks import Ranks
from rewardmesh.trainer_client.distributed.sharding import WholeGeneration, shard
from rewardmesh.trainer_client.mixing.mixture import Draw
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.rollout import Prompt
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.trainer import Trainer
from tests.trainer_client.policy.prompts import WORDS, asking

WORLD = 2
SAMPLING = SamplingConfig(group_size=4, max_tokens=8)
# Five groups for two processes, one a pass: in the third the second has none, and in the first two it sees no picture.
CONFIG = TrainerConfig(
    prompts_per_step=5, prompts_per_wave=3, max_redraws=0, retries=0, micro_batch=4, max_gradient_norm=1e6, seed=2
)


def prompts() -> list[Prompt]:
    return [asking(seed, "where is the red square?"[: 6 + seed], (seed + 1) % 2) for seed in range(5)]


def policy() -> Policy:
    return Policy.tiny(WORDS, seed=1)


class Listed:
    """Draws the same prompts at every step."""

    def draw(self, step: int, count: int) -> list[Draw]:
        return [Draw(prompt, prompt.task, place, False) for place, prompt in enumerate(prompts())]

    def redraw(self, step: int, round: int, lost: Sequence[Draw]) -> list[Draw]:
        return []

    def observe(self, step: int, results: Any) -> None:
        self.observed = results

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


class ByLetters:
    """Pays for the letters in a completion; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        self.asked += [rollout.id for rollout in rollouts]
        return [Verdict(r.id, Score(sum(c.isalpha() for c in r.completion) / 40), task=r.task) for r in rollouts]


class Replay:
    """Completions that were sampled before, by prompt."""

    def __init__(self, learner: Policy, sampled: dict[str, list[Completion]]) -> None:
        self._learner = learner
        self._sampled = sampled

    def generate(
        self, asked: Sequence[Prompt], seed: int, finished: Callable[[Sequence[Completion]], None]
    ) -> list[Completion]:
        every = [
            dataclasses.replace(completion, prompt=place, policy_version=self._learner.version)
            for place, prompt in enumerate(asked)
            for completion in self._sampled[prompt.id]
        ]
        finished(every)
        return every

    def sync(self) -> None:
        pass


def sampled() -> dict[str, list[Completion]]:
    """The untrained policy's, paid as if they had ended: it hardly ever ends by itself."""
    asked = prompts()
    completions = HfGeneration(policy(), SAMPLING).generate(asked, 2, lambda _: None)
    whole = [dataclasses.replace(each, truncated=False) for each in completions]
    return {prompt.id: [c for c in whole if c.prompt == place] for place, prompt in enumerate(asked)}


def replaying(ranks: Ranks, scorer: Any = None, config: TrainerConfig = CONFIG) -> Trainer:
    """A trainer on fixed completions; of several processes, each has a shard of the model."""
    samples = sampled()
    learner = policy()
    if ranks.world > 1:
        shard(learner)
    return Trainer(learner, Replay(learner, samples), scorer or ByLetters(), Listed(), config, (), ranks)


def sampling(ranks: Ranks) -> Trainer:
    """A trainer that samples from the sharded model itself."""
    learner = policy()
    if ranks.world > 1:
        shard(learner)
    generation = WholeGeneration(HfGeneration(learner, SAMPLING), learner)
    return Trainer(
        learner, generation, ByLetters(), Listed(), dataclasses.replace(CONFIG, max_mismatch=1e-4), (), ranks
    )


def gradients(of: Trainer) -> dict[str, torch.Tensor]:
    """Of the last step, whole. To be called by all processes."""
    found: dict[str, torch.Tensor] = {}
    for name, parameter in of.policy.model.named_parameters():
        assert parameter.grad is not None, name
        found[name] = _whole(parameter.grad)
    return found


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    """Whole. To be called by all processes."""
    return {name: _whole(parameter.detach()) for name, parameter in of.policy.model.named_parameters()}


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor().clone() if isinstance(tensor, DTensor) else tensor.clone()


def spawn(work: Callable[[Ranks, Path], Any], folder: Path) -> list[Any]:
    """Runs `work` in two processes; what each returned, by rank. A process that dies takes the other along."""
    context = multiprocessing.spawn(_child, (work, str(folder)), WORLD, join=False)
    assert context is not None
    while not context.join(timeout=60):
        pass
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in range(WORLD)]


def _child(rank: int, work: Callable[[Ranks, Path], Any], folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    result = work(Ranks.join(), Path(folder))
    torch.save(result, Path(folder) / f"result-{rank}.pt")
    dist.destroy_process_group()


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of any coordinate, relative to the largest coordinate of its tensor."""
    return max(float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one)


def _one_step(ranks: Ranks, folder: Path) -> dict[str, torch.Tensor]:
    training = replaying(ranks)
    training.step()
    return gradients(training)


def gradient_difference_2_ranks() -> float:
    """Between one process and two, on the same completions: see `difference`."""
    with tempfile.TemporaryDirectory() as folder:
        shared = spawn(_one_step, Path(folder))
    alone = _one_step(Ranks(), Path())
    return max(difference(alone, each) for each in shared)
