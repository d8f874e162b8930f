"""How much a person would like a completion, as a reward model sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rewardmesh.contract import ImagePart, InvalidRolloutError, Part, Rollout, Score, TextPart, UnavailableError
from rewardmesh.contract.errors import InvalidScoreError
from rewardmesh.rewards.answer import after_thinking, with_tags
from rewardmesh.rewards.preference.calibration import Calibration

if TYPE_CHECKING:  # torch is an extra, and slow to import: only a constructed reward needs it
    from rewardmesh.models.text_tokenizer import Encoded

OPTION = "rewards.preference.options.checkpoint"


class PreferenceReward:
    """Scores completions with a Bradley-Terry reward model (arXiv 1706.03741, equation 1) over text.

    The value is the calibrated score, `Score.raw` the model's own. Thinking is not judged. An empty, unfinished or
    over-long answer is a Score of 0, as the policy could have written another.

    Args:
        checkpoint: A folder as `AutoModelForSequenceClassification(num_labels=1)` saves it, in safetensors, with
            `tokenizer.json` and `calibration.json`.
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.

    Raises:
        UnavailableError: There is no such checkpoint, or it cannot be loaded.
    """

    name = "preference"
    version = "1"
    cacheable = True
    reads = ("prompt", "completion", "images")  # images, because a rollout that has one is refused

    def __init__(self, checkpoint: str | None = None, thinking: Sequence[Sequence[str]] = ()) -> None:
        self._tags = with_tags(thinking)
        if not checkpoint:
            raise UnavailableError(f"no reward model is configured: set {OPTION} to a checkpoint folder")
        folder = Path(checkpoint)
        if not folder.is_dir():
            raise UnavailableError(f"{OPTION} must be a checkpoint folder, but {checkpoint!r} is not a folder")
        try:
            from rewardmesh.models.reward_model import RewardModel
            from rewardmesh.models.text_tokenizer import TextTokenizer

            self._calibration = Calibration.load(folder)
            self._tokenizer = TextTokenizer(folder)
            self._model = RewardModel.load(folder)
            self._model.check_vocabulary(self._tokenizer.size)
        except Exception as error:  # whatever a missing library or a damaged file raises, nothing can be scored
            raise UnavailableError(
                f"{OPTION}: {checkpoint!r} cannot be loaded: {type(error).__name__}: {error}"
            ) from error

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """One outcome per rollout, in order; InvalidRolloutError for one with images: this model reads text."""
        read = [self._read(rollout) for rollout in rollouts]
        raw = iter(self._model.raw_scores([r.ids for r in read if not isinstance(r, Score | Exception)]))
        return [r if isinstance(r, Score | Exception) else self._judge(next(raw), r.cut) for r in read]

    def _read(self, rollout: Rollout) -> Encoded | Score | Exception:
        if rollout.images or any(isinstance(part, ImagePart) for turn in rollout.messages for part in turn.parts):
            return InvalidRolloutError("the rollout has images, but this reward model reads only text")
        answer = after_thinking(rollout.completion, self._tags)
        if answer is None:
            return Score(0.0, "no_answer", "The completion ends before its thinking does.")
        text = answer.text.strip()
        if not any(c.isprintable() and not c.isspace() for c in text):
            return Score(0.0, "empty", "The completion shows nothing to a reader.")
        turns = [(turn.role, _text(turn.parts)) for turn in rollout.messages]
        encoded = self._tokenizer.encode(turns, text, self._model.max_tokens)
        if not encoded.ids:
            limit = self._model.max_tokens
            return Score(0.0, "too_long", f"The answer has {encoded.completion} tokens; the model reads {limit}.")
        return encoded

    def _judge(self, raw: float, cut: int) -> Score | Exception:
        if not math.isfinite(raw):
            return InvalidScoreError(f"the reward model's score is {raw}: its weights or its number format are broken")
        note = f"The first {cut} tokens of the prompt did not fit the model." if cut else ""
        return Score(self._calibration(raw), "scored", note, raw=raw)


def _text(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))
