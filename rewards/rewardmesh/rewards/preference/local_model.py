"""A reward model in this process: one version of a checkpoint, with its calibration."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rewardmesh.contract import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.errors import InvalidScoreError
from rewardmesh.models.chat_template import TemplateError
from rewardmesh.models.pictures import ImageError, Picture
from rewardmesh.models.reward_model import Reading
from rewardmesh.rewards.preference.calibration import Calibration
from rewardmesh.rewards.preference.checkpoint import Checkpoint, Conversation, Read
from rewardmesh.rewards.preference.golden import check_golden
from rewardmesh.rewards.preference.judged import Case, Judged, Judgement, TooLong
from rewardmesh.rewards.preference.options import ModelOptions

_CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is scored for a case: its completion, then its reference completions."""

    readings: Sequence[Reading]
    groups: Sequence[Hashable]
    completion: Read


class LocalModel:
    """A checkpoint that has been verified against its golden scores.

    Args:
        options: Where it lies and how it is to run.

    Attributes:
        sees: Whether it takes images.
        digest: Of the model and of its calibration.

    Raises:
        OSError, ValueError, Exception: A file is missing or damaged, or the scores are not the golden ones.
    """

    def __init__(self, options: ModelOptions) -> None:
        folder = Path(options.checkpoint)
        self._calibration = Calibration.load(folder)
        self._checkpoint = Checkpoint(folder, options.device, options.dtype, options.output)
        if self._checkpoint.model.device.type == "cpu":
            torch.set_num_threads(_CORES)  # Ray's workers are told to use one
        check_golden(self._checkpoint)
        self.sees = self._checkpoint.sees
        self.digest = f"{self._checkpoint.digest}+{self._calibration.digest}"

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """One per case, in order. An image, and a group's references, are read once."""
        seen: dict[bytes, Picture] = {}
        asked = [self._ask(case, seen) for case in cases]
        known = [each for each in asked if isinstance(each, _Asked)]
        scores = iter(
            self._checkpoint.scores(
                [reading for each in known for reading in each.readings],
                [group for each in known for group in each.groups],
            )
        )
        return [
            self._judged(each, [next(scores) for _ in each.readings]) if isinstance(each, _Asked) else each
            for each in asked
        ]

    def _ask(self, case: Case, seen: dict[bytes, Picture]) -> _Asked | TooLong | Exception:
        centred = self._calibration.method == "reference_centred"
        if centred and not case.references:
            return InvalidReferenceError("the calibration compares with reference completions, and there are none")
        texts = [case.conversation.completion, *(case.references if centred else ())]
        readings: list[Reading] = []
        found: list[Read] = []
        try:
            for text in texts:
                found.append(self._read(replace(case.conversation, completion=text), seen))
                reading = found[-1].reading
                if reading is None and len(found) == 1:
                    return TooLong(found[0].completion, self._checkpoint.model.max_tokens)
                if reading is None:
                    return InvalidReferenceError(f"a reference completion has {found[-1].completion} tokens: too many")
                readings.append(reading)
        except (ImageError, TemplateError) as error:
            return InvalidRolloutError(f"the prompt cannot be read: {error}")
        groups = [("completion", case.group), *[("reference", case.group)] * (len(readings) - 1)]
        return _Asked(readings, groups, found[0])

    def _read(self, conversation: Conversation, seen: dict[bytes, Picture]) -> Read:
        for image in conversation.images:
            if image not in seen:
                seen[image] = self._checkpoint.look([image])[0]
        return self._checkpoint.read(conversation, [seen[image] for image in conversation.images])

    def _judged(self, asked: _Asked, scores: Sequence[float]) -> Judgement:
        if not all(map(math.isfinite, scores)):
            return InvalidScoreError(f"the model's score is {scores[0]}: its weights or its number format are broken")
        value = self._calibration(scores[0], scores[1:])
        return Judged(value, scores[0], self.digest, asked.completion.completion, asked.completion.cut)
