"""Which prompts a step trains on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from rewardmesh.trainer_client.mixing.easy_pool import RESAMPLE_PROBABILITY
from rewardmesh.trainer_client.mixing.schedule import FixedMix, Schedule
from rewardmesh.trainer_client.mixing.shuffled import ShuffledSource
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.rollout import Prompt

Redraw = Literal["same_task", "mix"]


@dataclass(frozen=True, slots=True)
class Draw:
    """A prompt that was drawn.

    Attributes:
        prompt: The prompt. Two draws of one step hold the same one only where its source has fewer left to learn than
            were asked of it.
        source: The name of its source.
        index: Its number in the source.
        from_easy_pool: It is one that the policy had mastered.
    """

    prompt: Prompt
    source: str
    index: int
    from_easy_pool: bool


@dataclass(frozen=True, slots=True)
class GroupResult:
    """What became of a draw.

    Attributes:
        draw: The draw.
        rewards: Of each completion; None where the reward failed.
    """

    draw: Draw
    rewards: Sequence[float | None]


class Mixture:
    """Draws prompts of several sources, by the weights of a schedule.

    Every batch holds each source as often as its weight says, to within one: chance decides the rest. A source's
    prompts come in shuffled epochs. Random numbers come from the seed, the step and the round of the draw alone, so
    that a step that is taken up again draws what it drew before.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        schedule: Schedule | None = None,
        *,
        seed: int,
        easy_probability: float = RESAMPLE_PROBABILITY,
        redraw: Redraw = "same_task",
    ) -> None:
        """Starts with the first epoch of each source.

        Args:
            sources: At least one, with different names. Sources of one task share its weight by their own.
            schedule: The weights of the tasks; by default what the weights of their sources add up to, at every step.
            seed: Of the order of prompts, and of what is drawn.
            easy_probability: How often a draw takes a prompt that the policy has mastered; in [0, 1].
            redraw: What takes the place of a group that was lost. "same_task" draws from the source it came from, so
                that the batch that is trained on keeps the ratio of the weights, whatever a task loses (what MT-GRPO,
                arXiv 2602.05547, calls ratio-preserving). "mix" draws from all: tasks with many groups without spread
                are then trained on less.

        Raises:
            ValueError: There are no sources, two have one name, or a setting is out of range.
        """
        names = [source.name for source in sources]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a mixture needs sources with different names, got {names}")
        if not 0 <= easy_probability <= 1:
            raise ValueError(f"easy_probability must be in [0, 1], got {easy_probability}")
        if redraw not in ("same_task", "mix"):
            raise ValueError(f'redraw must be "same_task" or "mix", got {redraw!r}')
        self._sources = {source.name: source for source in sources}
        self._totals = {
            task: math.fsum(s.weight for s in sources if s.task == task) for task in {s.task: 0 for s in sources}
        }
        self._schedule = schedule or FixedMix(self._totals)
        self._seed, self._easy_probability, self._redraw = seed, easy_probability, redraw
        self._passes = {s.name: ShuffledSource(s.name, len(s.prompts), seed) for s in sources}

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in the order of their first sources."""
        return tuple(self._totals)

    def shares(self, step: int) -> dict[str, float]:
        """The share of each source at this step; they add up to 1.

        Raises:
            ValueError: The schedule gives weight to a task without source, or none to any.
        """
        weights = self._schedule.weights(step)
        unknown = [task for task, weight in weights.items() if weight and task not in self._totals]
        if unknown:
            raise ValueError(f"the schedule has weights of tasks that no source has: {', '.join(sorted(unknown))}")
        total = math.fsum(weights.values())
        if total <= 0:
            raise ValueError(f"no task has a weight at step {step}")
        return {
            name: weights.get(s.task, 0.0) / total * s.weight / self._totals[s.task]
            for name, s in self._sources.items()
        }

    def draw(self, step: int, count: int) -> list[Draw]:
        """The prompts of a step, in an order that mixes the tasks.

        Raises:
            ValueError: As in `shares`.
        """
        for each in self._passes.values():
            each.begin_step()
        rng = self._rng(step, 0)
        return [self._take(name, rng, self._easy_probability) for name in self._names(step, count, rng)]

    def redraw(self, step: int, round: int, lost: Sequence[Draw]) -> list[Draw]:
        """Prompts in the place of `lost`, one for each; `round` counts from 1 within the step.

        They come from the ordinary pass: one that the policy has mastered would be lost again.

        Raises:
            ValueError: `round` is below 1.
        """
        if round < 1:
            raise ValueError(f"the rounds of re-drawing count from 1, got {round}")
        rng = self._rng(step, round)
        names = [d.source for d in lost] if self._redraw == "same_task" else self._names(step, len(lost), rng)
        return [self._take(name, rng, 0.0) for name in names]

    def observe(self, step: int, results: Sequence[GroupResult]) -> None:
        """Takes note of a step that is done: of every group that was drawn in it, those that were lost too."""
        rewards: dict[str, list[float]] = {}
        for draw, found in ((r.draw, r.rewards) for r in results):
            self._passes[draw.source].easy.observe(draw.index, found)
            judged = [reward for reward in found if reward is not None]
            rewards.setdefault(self._sources[draw.source].task, []).extend(judged)
        self._schedule.observe(step, {task: math.fsum(r) / len(r) for task, r in rewards.items() if r})

    def state_dict(self) -> dict[str, Any]:
        """All that draws and observations have changed, as JSON."""
        return {
            "seed": self._seed,
            "schedule": self._schedule.state_dict(),
            "sources": {name: each.state_dict() for name, each in self._passes.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave: what is drawn from here on is what would have been drawn there.

        Raises:
            ValueError: The state is of another seed or of other sources.
        """
        if state["seed"] != self._seed or set(state["sources"]) != set(self._sources):
            raise ValueError(
                f"the state is of seed {state['seed']} and sources {sorted(state['sources'])}, "
                f"not {self._seed} and {sorted(self._sources)}"
            )
        for name, each in self._passes.items():
            each.load_state_dict(state["sources"][name])
        self._schedule.load_state_dict(state["schedule"])

    def _rng(self, step: int, round: int) -> Random:
        return Random(f"{self._seed}/{step}/{round}")

    def _take(self, name: str, rng: Random, easy_probability: float) -> Draw:
        index, easy = self._passes[name].draw(rng, easy_probability)
        return Draw(self._sources[name].prompts[index], name, index, easy)

    def _names(self, step: int, count: int, rng: Random) -> list[str]:
        """The sources of `count` draws: systematic sampling, so that each has its share to within one."""
        names: list[str] = []
        mark, end = rng.random(), 0.0
        shares = [(name, share) for name, share in self.shares(step).items() if share]
        for name, share in shares:
            end += share * count
            while mark < end and len(names) < count:
                names.append(name)
                mark += 1
        names += [shares[-1][0]] * (count - len(names))  # what the rounding of `end` left over
        rng.shuffle(names)
        return names
