"""One step's groups: generated in waves, judged meanwhile, handed over to training in the order they were drawn."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rewardmesh.trainer_client.mixing.mixture import Draw
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.generation import Generation
from rewardmesh.trainer_client.training.asking import Asking
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.drawing import Drawing
from rewardmesh.trainer_client.training.failures import check_failures
from rewardmesh.trainer_client.training.group import Group


class StalePolicyError(RuntimeError):
    """A completion was sampled by other weights than those it is to train."""


class Overlap:
    """The rounds of one step: prompts are drawn and, for those that taught nothing, drawn again.

    A completion's reward is asked for as it ends. Groups come out in the order in which they were drawn, each as soon
    as it and those before it are judged, so that they can be trained on while later verdicts arrive. When verdicts
    arrive decides only how long it takes: never which groups come out, nor in which order.

    Args:
        generation: Where completions come from.
        mixture: Where prompts come from.
        asking: Who gets their rewards.
        assess: Gives a settled group its advantages, or None.
        config: Sizes, limits and the seed.
        step: Which step it is.
        version: Of the weights that are trained.

    Attributes:
        groups: All that were drawn so far, in order.
        seconds: Spent generating ("sample") and waiting for verdicts with nothing else to do ("score").
        redraws: Rounds of re-draws so far.
    """

    def __init__(
        self,
        generation: Generation,
        mixture: Drawing,
        asking: Asking,
        assess: Callable[[Group], None],
        config: TrainerConfig,
        step: int,
        version: int,
    ) -> None:
        self.groups: list[Group] = []
        self.seconds = {"sample": 0.0, "score": 0.0}
        self.redraws = 0
        self._generation = generation
        self._mixture = mixture
        self._asking = asking
        self._assess = assess
        self._config = config
        self._step = step
        self._version = version

    def ready(self, *, all_at_once: bool = False) -> Iterator[Group]:
        """The groups, assessed; `all_at_once` keeps the first back until the last is judged.

        Raises:
            StalePolicyError: A completion comes from other weights.
            RewardsFailedError: Too many rewards failed.
            Exception: Whatever generation and the scorer raise.
        """
        self._generate(self._mixture.draw(self._step, self._config.prompts_per_step))
        given, more = 0, True
        while more or given < len(self.groups):
            self._asking.take()
            if more and all(group.settled for group in self.groups):
                more = self._redraw()
            elif given < len(self.groups) and self.groups[given].settled and not (more and all_at_once):
                self._assess(self.groups[given])
                yield self.groups[given]
                given += 1
            else:
                with self._timed("score"):
                    self._asking.wait()

    def _redraw(self) -> bool:
        """Replaces the groups of the last round that taught nothing. Returns whether there were any."""
        check_failures(self.groups, self._config.max_failure_rate)
        for group in self.groups:
            self._assess(group)
        lost = [group.draw for group in self.groups if group.round == self.redraws and group.advantages is None]
        if not lost or self.redraws == self._config.max_redraws:
            return False
        draws = self._mixture.redraw(self._step, self.redraws + 1, lost)
        if not draws:
            return False
        self.redraws += 1
        self._generate(draws)
        return True

    def _generate(self, draws: Sequence[Draw]) -> None:
        for number, wave in enumerate(self._enter(draws)):
            self._fill(wave, str(number))

    def _enter(self, draws: Sequence[Draw]) -> list[list[Group]]:
        """Makes groups of draws, wave by wave."""
        new = [Group(draw, self.redraws) for draw in draws]
        self.groups += new
        size = self._config.prompts_per_wave or len(new)
        return [new[start : start + size] for start in range(0, len(new), size)]

    def _fill(self, wave: Sequence[Group], name: str) -> None:
        """Generates the completions of groups; of another `name`, others."""
        seed = random.Random(f"{self._config.seed}/{self._step}/{self.redraws}/{name}").getrandbits(63)
        prompts = [group.draw.prompt for group in wave]
        with self._timed("sample"):
            completions = self._generation.generate(prompts, seed, partial(self._ended, wave))
        for completion in completions:
            wave[completion.prompt].completions.append(completion)
        if any(sorted(group.rollouts) != list(range(len(group.completions))) for group in wave):
            raise RuntimeError("generation returned other completions than it reported as they ended")

    def _ended(self, wave: Sequence[Group], completions: Sequence[Completion]) -> None:
        """Asks for the rewards of completions that have just ended."""
        for completion in completions:
            self._name(wave[completion.prompt], completion)
        self._asking.ask([wave[each.prompt] for each in completions], [each.number for each in completions])
        self._asking.take()

    def _name(self, group: Group, completion: Completion) -> None:
        """Makes a completion the rollout that it is asked about as."""
        if completion.policy_version != self._version:
            raise StalePolicyError(
                f"a completion was sampled by policy {completion.policy_version}, the newest is {self._version}"
            )
        group.rollouts[completion.number] = group.draw.prompt.rollout(
            completion.text,
            completion.number,
            truncated=completion.truncated,
            policy_version=completion.policy_version,
            step=self._step,
        )

    @contextmanager
    def _timed(self, phase: str) -> Generator[None]:
        started = time.perf_counter()
        yield
        self.seconds[phase] += time.perf_counter() - started
