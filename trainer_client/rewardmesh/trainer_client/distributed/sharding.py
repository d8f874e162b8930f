"""Shards a policy's model over the processes, with FSDP2."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.generation import Generation
from rewardmesh.trainer_client.policy.parts import part_of
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.rollout import Prompt


def shard(policy: Policy, mesh: DeviceMesh | None = None) -> None:
    """Shards the model in place: each block of the language model, then the rest as one.

    To be called before a trainer is made: its optimizer is of the pieces. A policy that was loaded on the CPU is moved
    to the process's own device piece by piece; no GPU ever holds all of it.

    The vision encoder belongs to the rest: batches of text do not run it, and a process that did not would leave the
    others waiting for it. Its gradients are reduced whether or not a process had any.

    Args:
        policy: Its weights must be the same on all processes.
        mesh: Over which processes; None: all of them.

    Raises:
        ValueError: The model does not say what its blocks are.
    """
    model: Any = policy.model
    kinds: set[str] = set(model._no_split_modules or ())
    blocks = [
        module
        for name, module in model.named_modules()
        if type(module).__name__ in kinds and part_of(name) == "language"
    ]
    if not blocks:
        raise ValueError(f"{type(model).__name__} names no blocks of its language model")
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    cast(FSDPModule, model).set_reduce_scatter_unused_params(True)
    policy.banned, policy.ends = policy.banned.to(policy.device), policy.ends.to(policy.device)


@contextmanager
def whole(model: nn.Module) -> Generator[None]:
    """Has every process hold all weights for a while: it may then run the model as often as it likes, alone."""
    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in sharded:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    try:
        yield
    finally:
        for module in sharded:
            module.reshard()
            module.set_reshard_after_forward(module is not model, recurse=False)


class WholeGeneration:
    """A `Generation` by a sharded model: each process samples for prompts of its own.

    Args:
        inner: Samples from the model.
        policy: Whose model it is.
    """

    def __init__(self, inner: Generation, policy: Policy) -> None:
        self._inner = inner
        self._model: Any = policy.model

    def generate(
        self, prompts: Sequence[Prompt], seed: int, finished: Callable[[Sequence[Completion]], None]
    ) -> list[Completion]:
        """As `Generation.generate`; to be called by all processes, with or without prompts."""
        with whole(self._model):
            return self._inner.generate(prompts, seed, finished) if prompts else []

    def sync(self) -> None:
        """As the inner one."""
        self._inner.sync()
