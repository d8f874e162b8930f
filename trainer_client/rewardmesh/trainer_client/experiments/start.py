"""The policy that all runs of an experiment start from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from rewardmesh.trainer_client.demo.feed import batches
from rewardmesh.trainer_client.demo.run import WARM_UP_RATE
from rewardmesh.trainer_client.demo.tasks import WORDS
from rewardmesh.trainer_client.experiments.size import Size
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sft import warm_up


class Start:
    """One warmed-up policy, handed out as often as it is asked for.

    Runs that start apart differ by how well they see before they are trained; that would drown what is compared.
    """

    def __init__(self, size: Size, model: Path | None, say: Callable[[str], None]) -> None:
        """Warms the policy up.

        Args:
            size: How long, and where.
            model: A checkpoint's folder; None for the demo's tiny model.
            say: Told how it went.
        """
        if model is not None:
            self._policy = Policy.load(model, device=size.device)
        else:
            tiny = Policy.tiny(WORDS, seed=0)
            where = size.device if size.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
            self._policy = Policy(cast(Any, tiny.model).to(where), tiny.reader)
        examples = batches(size.tasks, seed=0)
        losses = warm_up(
            self._policy,
            lambda: next(examples),
            size.warm_up_steps,
            WARM_UP_RATE if model is None else WARM_UP_RATE / 100,
        )
        told = f"loss {losses[0]:.2f} -> {losses[-1]:.2f}" if losses else "none"
        say(f"warm-up of the start that all runs share: {size.warm_up_steps} steps, {told}")

    def policy(self) -> Policy:
        """A copy, never trained since the warm-up."""
        return Policy(copy.deepcopy(self._policy.model), self._policy.reader)
