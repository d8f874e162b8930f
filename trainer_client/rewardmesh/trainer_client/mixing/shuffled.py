"""One source's prompts in shuffled epochs, easy ones apart."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from rewardmesh.trainer_client.mixing.easy_pool import EasyPool


class ShuffledSource:
    """Numbers of prompts: each once per epoch, in an order that depends on the seed and the epoch alone.

    Within a step no number comes twice as long as there are others. Prompts that would are put off and come as soon as
    they can, before the epoch ends.

    Attributes:
        easy: The prompts that the ordinary pass leaves out.
    """

    def __init__(self, name: str, size: int, seed: int) -> None:
        """Takes the source's name, how many prompts it has, and the seed of the run."""
        self.easy = EasyPool()
        self._name, self._size, self._seed = name, size, seed
        self._epoch = self._place = 0
        self._put_off: list[int] = []
        self._drawn: set[int] = set()
        self._order: list[int] = []
        self._ordered = -1

    def begin_step(self) -> None:
        """From here on, prompts may come that came in the step before."""
        self._drawn.clear()

    def draw(self, rng: Random, easy_probability: float) -> tuple[int, bool]:
        """The next prompt, and whether it is from the easy pool; the pool's turn comes with `easy_probability`.

        When all prompts are easy, they all come from the pool.
        """
        wanted = bool(self.easy) and rng.random() < easy_probability
        prompt = self.easy.draw(rng, self._drawn) if wanted else None
        easy = prompt is not None
        if prompt is None:
            prompt = self._next()
        if prompt is None:
            easy = True
            prompt = self.easy.draw(rng, self._drawn)
            if prompt is None:  # all have come in this step
                prompt = self.easy.draw(rng, ())
        assert prompt is not None, "a prompt is in the pool or in the pass"
        self._drawn.add(prompt)
        return prompt, easy

    def state_dict(self) -> dict[str, Any]:
        """Where in which epoch the source stands, what it has put off, and its pool, as JSON."""
        return {
            "size": self._size,
            "epoch": self._epoch,
            "place": self._place,
            "put_off": list(self._put_off),
            "drawn": sorted(self._drawn),
            "easy": self.easy.prompts(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            ValueError: The state is of a source with another number of prompts.
        """
        if state["size"] != self._size:
            raise ValueError(f"the state of source {self._name!r} is of {state['size']} prompts, not {self._size}")
        self._epoch, self._place = state["epoch"], state["place"]
        self._put_off, self._drawn = list(state["put_off"]), set(state["drawn"])
        self.easy = EasyPool(state["easy"])

    def _next(self) -> int | None:
        """The next of the ordinary pass; None if all prompts are easy."""
        if len(self.easy) == self._size:
            return None
        self._put_off = [prompt for prompt in self._put_off if prompt not in self.easy]
        while True:
            for place, prompt in enumerate(self._put_off):
                if prompt not in self._drawn:
                    return self._put_off.pop(place)
            while self._place < self._size:
                prompt = self._shuffled()[self._place]
                self._place += 1
                if prompt in self.easy:
                    continue
                if prompt not in self._drawn:
                    return prompt
                self._put_off.append(prompt)
            if self._put_off:  # all have come in this step: there are fewer than were asked for
                return self._put_off.pop(0)
            self._epoch, self._place = self._epoch + 1, 0

    def _shuffled(self) -> list[int]:
        if self._ordered != self._epoch:
            self._order = list(range(self._size))
            Random(f"{self._seed}/{self._name}/{self._epoch}").shuffle(self._order)
            self._ordered = self._epoch
        return self._order
