"""Which answer space a rollout's answer is in: what the rollout says, else what an option of the reward says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from rewardmesh.contract import AnswerSpace, InvalidReferenceError, InvalidRolloutError, Size
from rewardmesh.rewards.visual.presets import PRESETS
from rewardmesh.rewards.visual.smart_resize import Resize

# What the full width or height is written as. "pixels" and "resized" depend on an image.
FULL = {"relative_1000": 1000.0, "relative_999": 999.0, "loc_1024": 1024.0, "percent": 100.0, "unit": 1.0}
KINDS = ("pixels", "resized", *FULL)
ORDERS = ("xyxy", "yxyx", "xywh")
TIME_KINDS = ("seconds", "percent")
_FIELDS = ("kind", "order", "preset", "input_size", "min_pixels", "max_pixels")


class Declared(NamedTuple):
    """An answer space, checked, with its preset filled in.

    Attributes:
        kind: One of `KINDS`; empty for the reference's own.
        order: One of `ORDERS`.
        input_size: The size of the image that the model saw, for "resized".
        resize: What computes that from the size of the original image.
        preset: The family's name, or empty.
    """

    kind: str = ""
    order: str = "xyxy"
    input_size: Size | None = None
    resize: Resize | None = None
    preset: str = ""


NOTHING = Declared()


def declared(space: AnswerSpace | None, default: Declared = NOTHING) -> Declared:
    """What the rollout says, else the default.

    A rollout that names neither kind nor preset, or the preset of the default, adds to the default what else it says:
    its `input_size`, say.

    Raises:
        InvalidRolloutError: The rollout's kind, order or preset is unknown, or its input_size is senseless.
    """
    if space is None:
        return default
    kind, order = space.kind, space.order
    preset = resize = None
    if space.preset:
        preset = PRESETS.get(space.preset)
        if preset is None:
            raise InvalidRolloutError(f"unknown answer_space preset {space.preset!r:.80}; known: {', '.join(PRESETS)}")
        kind, order, resize = kind or preset.kind, order or preset.order, preset.resize
    if kind and kind not in KINDS:
        raise InvalidRolloutError(f"answer_space kind must be one of {', '.join(KINDS)}; got {kind!r:.80}")
    if order and order not in ORDERS:
        raise InvalidRolloutError(f"answer_space order must be one of {', '.join(ORDERS)}; got {order!r:.80}")
    size = space.input_size
    if size is not None and min(size) <= 0:
        raise InvalidRolloutError(f"answer_space input_size must be positive, got {list(size)}")
    if not kind:
        return Declared(default.kind, order or default.order, size or default.input_size, default.resize)
    if space.preset and space.preset == default.preset:
        size, resize = size or default.input_size, default.resize
    return Declared(kind, order or "xyxy", size, resize, space.preset)


def space_option(option: Mapping[str, Any] | None) -> Declared:
    """A reward's option `answer_space`, which speaks for the rollouts that do not.

    Args:
        option: The fields of an answer space, and for presets that resize `min_pixels` and `max_pixels`, where the
            model is run with others than its family's.

    Raises:
        ValueError: It is no answer space; the message says what is wrong.
    """
    if option is None:
        return NOTHING
    fields = _fields(option)
    size = fields.get("input_size")
    given = Size(*_whole("input_size", size, 2)) if size is not None else None
    try:
        said = declared(AnswerSpace(fields["kind"], fields["order"], given, fields["preset"]))
    except InvalidRolloutError as error:
        raise ValueError(str(error)) from None
    bounds = {name: _whole(name, fields[name], 1)[0] for name in ("min_pixels", "max_pixels") if name in fields}
    if not bounds:
        return said
    if said.resize is None:
        raise ValueError(f"answer_space {', '.join(bounds)} are of no use without a preset that resizes images")
    resize = said.resize._replace(**bounds)
    if not resize.factor**2 <= resize.max_pixels or not resize.min_pixels <= resize.max_pixels:
        raise ValueError(f"answer_space needs min_pixels <= max_pixels and {resize.factor}^2 <= max_pixels: {resize}")
    return Declared(said.kind, said.order, said.input_size, resize, said.preset)


def time_option(option: Mapping[str, Any] | None) -> AnswerSpace | None:
    """The option `answer_space` of a reward about time. Raises ValueError, as `space_option` does."""
    if option is None:
        return None
    fields = _fields(option)
    if not fields["preset"] and fields["kind"] not in TIME_KINDS:
        raise ValueError(f"for time the answer_space kind must be seconds or percent, got {fields['kind']!r:.80}")
    return AnswerSpace(fields["kind"], preset=fields["preset"])


def in_percent(space: AnswerSpace | None, default: AnswerSpace | None, duration: float | None) -> bool:
    """Whether the times of an answer are percent of the duration.

    Raises:
        InvalidRolloutError: The rollout declares a kind that is none of time.
        InvalidReferenceError: They are, and the duration is unknown.
    """
    said = default if space is None else space
    if said is None or said.preset or said.kind in ("", "seconds"):  # a family's preset is about coordinates
        return False
    if said.kind != "percent":
        raise InvalidRolloutError(f"for time the answer_space kind must be seconds or percent, got {said.kind!r:.80}")
    if duration is None:
        raise InvalidReferenceError("an answer in percent needs the reference's duration")
    return True


def _fields(option: object) -> dict[str, Any]:
    if not isinstance(option, Mapping):
        raise ValueError(f"answer_space must be a mapping such as {{preset: qwen2.5-vl}}, not {option!r:.80}")
    fields = {str(name): value for name, value in cast(Mapping[object, Any], option).items() if value is not None}
    if unknown := [name for name in fields if name not in _FIELDS]:
        raise ValueError(f"answer_space has no field {', '.join(unknown)}; it has {', '.join(_FIELDS)}")
    for name in ("kind", "order", "preset"):
        if not isinstance(fields.setdefault(name, ""), str):
            raise ValueError(f"answer_space {name} must be a text, got {fields[name]!r:.80}")
    if not fields["kind"] and not fields["preset"]:
        raise ValueError("answer_space must have a kind or a preset")
    return fields


def _whole(name: str, value: object, count: int) -> list[int]:
    numbers = value if isinstance(value, list | tuple) else [value]
    numbers = cast(Sequence[object], numbers)
    if len(numbers) != count or not all(type(n) is int and n > 0 for n in numbers):
        what = "[width, height] in whole pixels" if count == 2 else "a positive whole number"
        raise ValueError(f"answer_space {name} must be {what}, got {value!r:.80}")
    return cast(list[int], list(numbers))
