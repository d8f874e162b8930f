"""Prompts that the policy has mastered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

# A reward this near to 1 is full marks: coordinates may pass through JSON and a change of space on their way.
FULL_MARKS = 1.0 - 1e-6
# MiMo-7B (arXiv 2505.07608): how often a draw comes from the pool. Without any, training became unstable there.
RESAMPLE_PROBABILITY = 0.1


def all_pass(rewards: Sequence[float | None]) -> bool:
    """Whether every completion of a group was judged and got full marks; None stands for a failed reward."""
    return bool(rewards) and all(reward is not None and reward >= FULL_MARKS for reward in rewards)


class EasyPool:
    """The mastered prompts of one source, by number. They leave the ordinary pass, but are drawn again now and then.

    As in MiMo-7B (arXiv 2505.07608). Ours: a prompt that is drawn from the pool and no longer passes goes back to the
    ordinary pass; what is forgotten must be learnt again.
    """

    def __init__(self, prompts: Sequence[int] = ()) -> None:
        """Takes prompts, in the order in which they came in."""
        self._prompts = dict.fromkeys(prompts)

    def __contains__(self, prompt: int) -> bool:
        """Whether the prompt is in the pool."""
        return prompt in self._prompts

    def __len__(self) -> int:
        """How many there are."""
        return len(self._prompts)

    def prompts(self) -> list[int]:
        """All of them, in the order in which they came in."""
        return list(self._prompts)

    def observe(self, prompt: int, rewards: Sequence[float | None]) -> None:
        """Takes the prompt in if its group passed, and lets it go if a judged completion did not.

        A failed reward says nothing of the policy: a group with one changes nothing, unless another completion failed
        to pass.
        """
        if all_pass(rewards):
            self._prompts.setdefault(prompt)
        elif any(reward is not None and reward < FULL_MARKS for reward in rewards):
            self._prompts.pop(prompt, None)

    def draw(self, rng: Random, without: Collection[int]) -> int | None:
        """A random prompt that is not in `without`; None if there is none. The prompt stays in the pool."""
        free = [prompt for prompt in self._prompts if prompt not in without]
        return rng.choice(free) if free else None
