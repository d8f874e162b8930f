"""Single values of a settings file, each read with an error that names it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_args

from rewardmesh.contract.json_shape import Fields, number_of, show, text_of
from rewardmesh.trainer_client.channel import checked_target

T = TypeVar("T")
Read = Callable[[object, str], Any]
"""Takes a value and its path. Raises SettingsError."""


class SettingsError(ValueError):
    """The settings are wrong; the message is one line that names the field."""


def text(value: object, path: str) -> str:
    """A text."""
    return text_of(value, path, SettingsError)


def number(value: object, path: str) -> float:
    """A finite number. YAML takes 1e-6 for a text: it wants 1.0e-6."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    found = number_of(value, path, SettingsError)
    if not math.isfinite(found):
        raise SettingsError(f"{path} must be finite, got {show(value)}")
    return found


def whole(value: object, path: str) -> int:
    """A whole number, 0 or more."""
    found = number(value, path)
    if not (found >= 0 and found == int(found)):
        raise SettingsError(f"{path} must be a whole number, 0 or more, got {show(value)}")
    return int(found)


def one_of(literal: Any) -> Read:
    """One of a Literal's texts."""
    known = get_args(literal)

    def read(value: object, path: str) -> str:
        if value not in known:
            raise SettingsError(f"{path} must be one of {', '.join(known)}, got {show(value)}")
        return cast(str, value)

    return read


def router(value: object, path: str) -> str:
    """HOST:PORT of a router, or of several, separated by commas."""
    for target in text(value, path).split(","):
        try:
            checked_target(target.strip())
        except ValueError as error:
            raise SettingsError(f"{path}: {error}") from None
    return cast(str, value)


def numbers(value: object, path: str) -> dict[str, float]:
    """Numbers by name."""
    return mapping(number)(value, path)


def mapping(read: Callable[[object, str], T]) -> Callable[[object, str], dict[str, T]]:
    """Values by name, each read by `read`."""

    def read_mapping(value: object, path: str) -> dict[str, T]:
        rest = Fields(value, path, SettingsError).rest()
        return {text(name, path): read(inner, f"{path}.{name}") for name, inner in rest.items()}

    return read_mapping
