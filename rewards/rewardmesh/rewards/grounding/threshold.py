"""The least IoU that counts as found: fixed, or growing as training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

from rewardmesh.contract import InvalidRolloutError

_FORM = "[{until: 100, iou: 0.85}, {until: 200, iou: 0.95}, {iou: 0.99}]"


class Stage(NamedTuple):
    """A stretch of training: steps before `until` (None: all that follow) need an IoU of at least `iou`."""

    until: int | None
    iou: float


class Threshold:
    """A threshold by training step, as in V-Triune (arXiv 2505.18129): easy first, then strict.

    Args:
        option: An IoU in (0, 1], or stages in order, a mapping each. A stage holds for steps before its `until`; the
            last has none and holds from there on.

    Raises:
        ValueError: It is neither; the message says what is wrong.
    """

    def __init__(self, option: object) -> None:
        if isinstance(option, list | tuple):
            rows = cast(list[object], option)
            self._stages = tuple(_stage(row, last=i == len(rows) - 1) for i, row in enumerate(rows))
            untils = [stage.until for stage in self._stages[:-1] if stage.until is not None]
            if not self._stages or untils != sorted(set(untils)):
                raise ValueError(f"threshold needs stages whose `until` grows, such as {_FORM}; got {option!r:.200}")
        else:
            self._stages = (Stage(None, _iou(option)),)

    def at(self, step: int | None) -> float:
        """The threshold at a training step.

        Raises:
            InvalidRolloutError: There are several stages and no step.
        """
        if len(self._stages) == 1:
            return self._stages[0].iou
        if step is None:
            raise InvalidRolloutError("the threshold depends on the training step: send the rollout with its step")
        return next(stage.iou for stage in self._stages if stage.until is None or step < stage.until)


def _stage(row: object, last: bool) -> Stage:
    fields = cast(Mapping[object, object], row) if isinstance(row, Mapping) else {}
    if set(fields) != ({"iou"} if last else {"iou", "until"}):
        raise ValueError(
            f"threshold must be an IoU or stages such as {_FORM}, the last without `until`; got {row!r:.80}"
        )
    until = fields.get("until")
    if until is not None and (type(until) is not int or until <= 0):
        raise ValueError(f"a threshold's `until` must be a positive training step, got {until!r:.80}")
    return Stage(until, _iou(fields["iou"]))


def _iou(value: object) -> float:
    if type(value) not in (int, float) or not 0 < cast(float, value) <= 1:
        raise ValueError(f"a threshold must be an IoU above 0 and at most 1, got {value!r:.80}")
    return float(cast(float, value))
