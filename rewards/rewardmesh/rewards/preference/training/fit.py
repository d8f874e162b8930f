"""The training loop of a reward model."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from rewardmesh.models.reward_model import RewardModel
from rewardmesh.rewards.preference.training.loss import bradley_terry_loss
from rewardmesh.rewards.preference.training.pair_file import Pair
from rewardmesh.rewards.preference.training.pair_reader import Example, PairReader, batches, fitting
from rewardmesh.rewards.preference.training.progress import bar
from rewardmesh.rewards.preference.training.reliability import accuracy, won
from rewardmesh.rewards.preference.training.training_state import Position, TrainingState

CLIP = 1.0
# Padded tokens in one forward pass; a batch that has more takes several, and their gradients add up.
PASS_TOKENS = 32768
_SMOOTH = 0.05  # of the bar's figures: a mean over the last 20 steps or so


class DivergedError(ValueError):
    """The loss is no finite number."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a reward model is trained.

    Attributes:
        epochs: How often each pair is seen.
        batch: Pairs per step.
        learning_rate: Of AdamW, after the warm-up; it then falls linearly to 0.
        warm_up: Share of all steps in which it rises, in [0, 1].
        weight_decay: Of AdamW.
        seed: Of the batches, the held-out split and new weights.
        max_tokens: Pairs with a longer conversation are left out.
        freeze_vision: Whether the vision encoder stays as it is.
        lora: The rank of adapters; 0 trains all weights.
        save_every: Steps between two saves to resume from.
    """

    epochs: int = 1
    batch: int = 16
    learning_rate: float = 1e-4
    warm_up: float = 0.05
    weight_decay: float = 0.01
    seed: int = 0
    max_tokens: int = 4096
    freeze_vision: bool = False
    lora: int = 0
    save_every: int = 200


class Fit:
    """One training of a model on pairs.

    Args:
        model: Only weights that require gradients are trained. Dropout stays off: rewards of one text must not differ.
        read: Turns pairs into what it reads.
        pairs: To train on; those that are too long are left out.
        options: How.

    Attributes:
        pairs: Those that fit.
        too_long: How many did not.
        optimiser: AdamW.
        schedule: Of its learning rate.
    """

    def __init__(self, model: RewardModel, read: PairReader, pairs: Sequence[Pair], options: Options) -> None:
        self._model = model.eval()  # dropout off
        self._read = read
        self._options = options
        self.pairs, self._lengths = fitting(pairs, read)
        self.too_long = len(pairs) - len(self.pairs)
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = AdamW(trained, options.learning_rate, betas=(0.9, 0.98), weight_decay=options.weight_decay)
        total = max(1, self.steps * options.epochs)
        rising = max(1, round(options.warm_up * total))
        self.schedule = LambdaLR(self.optimiser, lambda step: min((step + 1) / rising, (total - step) / total))

    @property
    def steps(self) -> int:
        """Batches of one epoch."""
        return math.ceil(len(self.pairs) / self._options.batch)

    def run(self, held_out: Sequence[Pair], state: TrainingState, position: Position) -> None:
        """Trains from a position to the end, saving to `state` now and then.

        Raises:
            DivergedError: The loss is no finite number.
        """
        options = self._options
        total = self.steps * options.epochs
        done = position.epoch * self.steps + position.step
        loss, right = math.nan, math.nan
        with bar(total, "training", done) as shown:
            for epoch in range(position.epoch, options.epochs):
                for step, batch in self._batches(epoch, position.step if epoch == position.epoch else 0):
                    now = self._step([self.pairs[index] for index in batch])
                    if not math.isfinite(now[0]):
                        raise DivergedError(f"the loss is {now[0]} in step {done + 1}: lower the learning rate")
                    loss, right = _smooth(loss, now[0]), _smooth(right, now[1])
                    done += 1
                    shown.set_postfix(loss=f"{loss:.3f}", accuracy=f"{right:.1%}", refresh=False)
                    shown.update()
                    if done % options.save_every == 0 and done < total:
                        state.save(Position(epoch, step + 1))
                if held_out and options.epochs > 1 and sys.stderr is not None:
                    share = accuracy([found for found in self.scores(held_out) if found])
                    shown.write(f"epoch {epoch + 1}: accuracy {share:.1%} on held-out pairs", sys.stderr)

    @torch.inference_mode()
    def scores(self, pairs: Sequence[Pair]) -> list[tuple[float, float] | None]:
        """The raw scores of each pair's chosen and rejected completion, in order; None if it is too long."""
        lengths = [example.tokens if (example := self._read(pair)) else 0 for pair in pairs]
        found: list[tuple[float, float] | None] = [None] * len(pairs)
        places = sorted((place for place, length in enumerate(lengths) if length), key=lambda place: lengths[place])
        for start in range(0, len(places), self._options.batch):
            batch = places[start : start + self._options.batch]
            parts = self._passes([pairs[place] for place in batch])
            scores = [torch.stack(self._scores(part), dim=1) for part in parts]
            for place, (chosen, rejected) in zip(batch, torch.cat(scores).tolist(), strict=True):
                found[place] = (chosen, rejected)
        return found

    def _batches(self, epoch: int, skipped: int) -> Iterator[tuple[int, list[int]]]:
        options = self._options
        for step, batch in enumerate(batches(self._lengths, options.batch, f"{options.seed} {epoch}")):
            if step >= skipped:
                yield step, batch

    def _step(self, pairs: Sequence[Pair]) -> tuple[float, float]:
        """One step of the optimiser; the batch's loss, and the share of its pairs in the right order."""
        self.optimiser.zero_grad()
        total, right = 0.0, 0.0
        for part in self._passes(pairs):
            chosen, rejected = self._scores(part)
            margin = torch.tensor([example.margin for example in part])
            loss = bradley_terry_loss(chosen, rejected, margin) * (len(part) / len(pairs))
            loss.backward()
            total += loss.item()
            right += sum(map(won, chosen.tolist(), rejected.tolist()))
        torch.nn.utils.clip_grad_norm_(self.optimiser.param_groups[0]["params"], CLIP)
        self.optimiser.step()
        self.schedule.step()
        return total, right / len(pairs)

    def _passes(self, pairs: Sequence[Pair]) -> Iterator[list[Example]]:
        """The pairs in parts that one forward pass takes."""
        examples = [example for pair in pairs if (example := self._read(pair))]
        size = max(1, PASS_TOKENS // (2 * max(example.tokens for example in examples)))
        return (examples[start : start + size] for start in range(0, len(examples), size))

    def _scores(self, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """The raw scores [B] of the chosen and of the rejected conversations."""
        both = [example.chosen for example in examples] + [example.rejected for example in examples]
        chosen, rejected = self._model(both).chunk(2)
        return chosen, rejected


def _smooth(mean: float, value: float) -> float:
    return value if math.isnan(mean) else mean + _SMOOTH * (value - mean)
