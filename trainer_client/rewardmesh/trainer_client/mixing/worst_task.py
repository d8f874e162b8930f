"""More of the tasks that are behind and do not improve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


class WorstTask:
    """Weights that rise for tasks with a low reward and little improvement, after MT-GRPO (arXiv 2602.05547).

        signal_k = improvement_k + robustness * reward_k
        logit_k <- (1 - decay) * logit_k - rate * (signal_k - mean of the signals)
        weight_k = floor + (1 - floor * tasks) * softmax(logits)_k

    From the paper: weights that trade the worst task off against all tasks by one factor, an update that looks at the
    reward and at its change, so that the weight does not run away to a task which cannot be learnt, and batches that
    keep the ratio of the weights after groups without spread are gone (see `Mixture`). Ours: the exponentiated step in
    place of its own, the running means (rewards of one step are noise), the floor, and all numbers below. The decay
    keeps weights finite: without it, any lasting difference in reward would end with the worst task alone.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        robustness: float = 0.2,
        rate: float = 1.0,
        decay: float = 0.05,
        memory: float = 0.9,
        floor: float = 0.02,
    ) -> None:
        """Starts with equal weights.

        Args:
            tasks: Their names.
            robustness: What a low reward weighs beside a lack of improvement; at least 0. High values look at the worst
                task alone.
            rate: How fast the weights move; above 0.
            decay: How fast they go back to equal, in [0, 1). Tasks whose rewards differ by d for long end up with
                weights that differ by a factor of exp(rate * robustness * d / decay).
            memory: Share of the running mean that stays at each step, in [0, 1).
            floor: The least weight of a task, so that none is forgotten; `floor * tasks` must be below 1.

        Raises:
            ValueError: A setting is out of range, or a task is named twice or none is.
        """
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError(f"tasks must be named, each once, got {list(tasks)}")
        if robustness < 0 or rate <= 0 or not 0 <= floor * len(tasks) < 1:
            raise ValueError(
                "robustness must be at least 0, rate above 0 and floor in [0, 1 / tasks), "
                f"got {robustness}, {rate} and {floor}"
            )
        if not (0 <= memory < 1 and 0 <= decay < 1):
            raise ValueError(f"memory and decay must be in [0, 1), got {memory} and {decay}")
        self._robustness, self._rate, self._decay = robustness, rate, decay
        self._memory, self._floor = memory, floor
        self._logits = dict.fromkeys(tasks, 0.0)
        self._rewards: dict[str, float] = {}

    def weights(self, step: int) -> Mapping[str, float]:
        """The weights after all that was observed; they add up to 1."""
        top = max(self._logits.values())
        shares = {task: math.exp(logit - top) for task, logit in self._logits.items()}
        left = (1 - self._floor * len(shares)) / math.fsum(shares.values())
        return {task: self._floor + left * share for task, share in shares.items()}

    def observe(self, step: int, rewards: Mapping[str, float]) -> None:
        """Moves the weights. A task that is not among the rewards keeps its last signal's reward and did not improve.

        Raises:
            KeyError: A task that the schedule does not know.
        """
        signals: dict[str, float] = {}
        for task, reward in rewards.items():
            if task not in self._logits:
                raise KeyError(f"task {task!r} is none of {', '.join(self._logits)}")
            before = self._rewards.get(task)
            self._rewards[task] = reward if before is None else self._memory * before + (1 - self._memory) * reward
            signals[task] = 0.0 if before is None else self._rewards[task] - before
        for task, mean in self._rewards.items():
            signals[task] = signals.get(task, 0.0) + self._robustness * mean
        if not signals:
            return
        middle = math.fsum(signals.values()) / len(signals)
        for task, logit in self._logits.items():
            pull = signals[task] - middle if task in signals else 0.0
            self._logits[task] = (1 - self._decay) * logit - self._rate * pull

    def state_dict(self) -> dict[str, Any]:
        """Logits and running means."""
        return {"logits": dict(self._logits), "rewards": dict(self._rewards)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            ValueError: The state is of other tasks.
        """
        if set(state["logits"]) != set(self._logits):
            raise ValueError(f"the state is of tasks {sorted(state['logits'])}, not {sorted(self._logits)}")
        self._logits = {task: float(state["logits"][task]) for task in self._logits}
        self._rewards = {task: float(mean) for task, mean in state["rewards"].items()}
