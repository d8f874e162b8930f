"""Checks the shape of decoded JSON, field by field, with errors that name the field."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from rewardmesh.contract.reference import Size

T = TypeVar("T")
D = TypeVar("D")
Complaint = type[ValueError]

# Deeper JSON is refused: it is nobody's metadata, and recursion over it must be bounded.
MAX_DEPTH = 64

_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = 80
_short.maxlevel = 3


def show(value: object) -> str:
    """The value for an error message, abridged: a whole repr can take long, or run out of stack."""
    return _short.repr(value)


class Fields:
    """The fields of one JSON object, each to be taken once; `finish` refuses those nobody took."""

    def __init__(self, value: object, path: str, complaint: Complaint) -> None:
        if not isinstance(value, dict):
            raise complaint(f"{path or 'a rollout'} must be a JSON object, got {show(value)}")
        self._left = dict(cast(dict[str, object], value))
        self._taken: list[str] = []
        self._path = f"{path}." if path else ""
        self._complaint = complaint

    def required(self, name: str, read: Callable[[object, str], T]) -> T:
        """The field, read; it must be there."""
        self._taken.append(name)
        if name not in self._left or self._left[name] is None:
            raise self._complaint(f"{self._path}{name} is missing")
        return read(self._left.pop(name), self._path + name)

    def optional(self, name: str, read: Callable[[object, str], T], default: D) -> T | D:
        """The field, read, or the default where it is absent or null."""
        self._taken.append(name)
        value = self._left.pop(name, None)
        return default if value is None else read(value, self._path + name)

    def text(self, name: str, default: str | None = None) -> str:
        """A text field; needed when there is no default."""

        def read(value: object, path: str) -> str:
            return text_of(value, path, self._complaint)

        return self.required(name, read) if default is None else self.optional(name, read, default)

    def rest(self) -> dict[str, Any]:
        """All fields nobody took."""
        rest, self._left = self._left, {}
        return rest

    def finish(self) -> None:
        """Refuses fields nobody took."""
        if self._left:
            unknown = ", ".join(repr(name) for name in sorted(self._left))
            raise self._complaint(f"unknown field {self._path}{unknown}; known: {', '.join(self._taken)}")


def text_of(value: object, path: str, complaint: Complaint) -> str:
    """A text that is valid Unicode."""
    if not isinstance(value, str):
        raise complaint(f"{path} must be a text, got {show(value)}")
    check_json(value, path, complaint)
    return value


def number_of(value: object, path: str, complaint: Complaint) -> float:
    """A number; NaN and infinities pass, their meaning is for the reward to judge."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise complaint(f"{path} must be a number, got {show(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def numbers_of(value: object, path: str, count: int, complaint: Complaint) -> list[float]:
    """A list of exactly `count` numbers."""
    if not isinstance(value, list) or len(cast(list[object], value)) != count:
        raise complaint(f"{path} must be a list of {count} numbers, got {show(value)}")
    return [number_of(item, f"{path}[{i}]", complaint) for i, item in enumerate(cast(list[object], value))]


def boolean_of(value: object, path: str, complaint: Complaint) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise complaint(f"{path} must be true or false, got {show(value)}")
    return value


def integer_of(value: object, path: str, complaint: Complaint) -> int:
    """A whole number of 64 bits, the widest the wire carries. 3.0 is one."""
    number = number_of(value, path, complaint)  # infinite where a float cannot hold it
    if not math.isfinite(number) or number != int(number) or not -(2**63) <= int(cast(float, value)) < 2**63:
        raise complaint(f"{path} must be a whole number of 64 bits, got {show(value)}")
    return int(cast(float, value))


def list_of(read: Callable[[object, str], T], complaint: Complaint) -> Callable[[object, str], tuple[T, ...]]:
    """Reads a list, item by item."""

    def read_list(value: object, path: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise complaint(f"{path} must be a list, got {show(value)}")
        return tuple(read(item, f"{path}[{i}]") for i, item in enumerate(cast(list[object], value)))

    return read_list


def size_of(value: object, path: str, complaint: Complaint) -> Size:
    """A [width, height] in whole pixels."""
    width, height = numbers_of(value, path, 2, complaint)
    for side in (width, height):
        if not (0 < side < 2**31 and side == int(side)):
            raise complaint(f"{path} must be [width, height] in whole pixels, got {show(value)}")
    return Size(int(width), int(height))


def check_json(value: object, path: str, complaint: Complaint, depth: int = 0) -> None:
    """Refuses what JSON text in UTF-8 cannot carry: lone surrogates, NaN and infinities, and too deep nesting."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise complaint(f"{path} holds a lone surrogate at character {error.start}") from None
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise complaint(f"{path} must be finite, got {value!r}")
    elif isinstance(value, dict | list | tuple):
        if depth >= MAX_DEPTH:
            raise complaint(f"{path} is nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            for key, item in cast(dict[object, object], value).items():
                if not isinstance(key, str):  # JSON would turn 1 into "1"
                    raise complaint(f"a key of {path} must be a text, got {show(key)}")
                check_json(key, f"a key of {path}", complaint)
                check_json(item, f"{path}.{key}", complaint, depth + 1)
        else:
            for i, item in enumerate(cast(Sequence[object], value)):
                check_json(item, f"{path}[{i}]", complaint, depth + 1)
