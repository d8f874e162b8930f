"""Files of preferences: one JSON object a line, with a prompt, completions and perhaps images."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from rewardmesh.contract.errors import InvalidRolloutError
from rewardmesh.contract.json_form import rollout_from_json
from rewardmesh.contract.json_shape import number_of, show, text_of
from rewardmesh.contract.rollout import ImagePart, Message, TextPart
from rewardmesh.models.chat import Content, ImageSlot, Turn

# Larger than any photograph a model reads; a path in a data file may name anything.
MAX_IMAGE_BYTES = 64 * 2**20
T = TypeVar("T")


class DataError(ValueError):
    """A line of a data file is not what it should be; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is answered.

    Attributes:
        turns: Roles and contents.
        images: The encoded images that the turns refer to: bytes, or the file that holds them.
    """

    turns: tuple[Turn, ...]
    images: tuple[bytes | Path, ...] = ()

    def load_images(self) -> tuple[bytes, ...]:
        """The encoded images. Raises OSError."""
        return tuple(image if isinstance(image, bytes) else image.read_bytes() for image in self.images)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one prompt, of which a person likes `chosen` better.

    Attributes:
        prompt: What both answer.
        chosen: The better one.
        rejected: The other.
        margin: By how much the better one should win, in raw scores, at least 0.
        kind: What is wrong with the rejected one, in data that says so.
        line: Where it stands in its file, from 1 on; 0 for a pair of no file.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    margin: float = 0.0
    kind: str = ""
    line: int = 0


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a JSONL file: prompt, chosen, rejected, and optionally margin and images; more is ignored.

    `prompt` is a text or messages (`role`, and `content`: a text, or parts `{"type": "text", "text": ...}` and
    `{"type": "image", "image": index}`); images stand before a prompt that is a text. An image is `{"data": base64}` or
    `{"path": file}`, relative to the file.

    Raises:
        OSError: The file cannot be read.
        DataError: A line is not of that form, or there is none.
    """
    return list(read_lines(file, lambda line, row: _pair(line, row, file.parent)))


def read_lines(file: Path, read: Callable[[int, dict[str, Any]], T]) -> Iterator[T]:
    """What `read` makes of each line's number and object; blank lines are skipped.

    Raises:
        OSError: The file cannot be read.
        DataError: A line is no object, `read` raises a ValueError for it, or there is no line.
    """
    empty = True
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            empty = False
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"expected a JSON object, got {show(row)}")
                yield read(number, cast(dict[str, Any], row))
            except (ValueError, RecursionError) as error:  # ValueError covers JSON, UTF-8 and what `read` refuses
                kind = "" if isinstance(error, InvalidRolloutError | DataError) else "not JSON: "
                raise DataError(f"{file}, line {number}: {kind}{error}") from error
    if empty:
        raise DataError(f"{file} is empty: expected one JSON object a line")


def prompt_of(row: dict[str, Any], folder: Path) -> Prompt:
    """The prompt in a row, with its images. Raises InvalidRolloutError (a ValueError)."""
    if row.get("prompt") is None:
        raise InvalidRolloutError(f"prompt is missing; the line has {', '.join(row) or 'nothing'}")
    rollout = rollout_from_json({"id": "line", "completion": "", "prompt": row["prompt"]})
    images = tuple(_image(value, f"images[{i}]", folder) for i, value in enumerate(_list(row, "images")))
    if isinstance(rollout.prompt, str):
        text = (rollout.prompt,)
        return Prompt((("user", (*map(ImageSlot, range(len(images))), *text)),), images)
    turns = tuple((message.role, _content(message)) for message in rollout.messages)
    shown = [part.image for _, parts in turns for part in parts if isinstance(part, ImageSlot)]
    if set(shown) != set(range(len(images))):
        raise InvalidRolloutError(f"the prompt shows the images {sorted(set(shown))}, and the line has {len(images)}")
    return Prompt(turns, images)


def text_in(row: dict[str, Any], name: str) -> str:
    """A text that a row must have. Raises InvalidRolloutError."""
    if row.get(name) is None:
        raise InvalidRolloutError(f"{name} is missing: expected a text; the line has {', '.join(row) or 'nothing'}")
    return text_of(row[name], name, InvalidRolloutError)


def texts_in(row: dict[str, Any], name: str) -> list[str]:
    """A list of texts that a row must have, at least one. Raises InvalidRolloutError."""
    values = _list(row, name)
    if not values:
        raise InvalidRolloutError(f"{name} must be a list of texts, got {show(row.get(name))}")
    return [text_of(value, f"{name}[{i}]", InvalidRolloutError) for i, value in enumerate(values)]


def _pair(line: int, row: dict[str, Any], folder: Path) -> Pair:
    chosen, rejected = text_in(row, "chosen"), text_in(row, "rejected")
    margin = number_of(0.0 if row.get("margin") is None else row["margin"], "margin", InvalidRolloutError)
    if not (math.isfinite(margin) and margin >= 0):
        raise InvalidRolloutError(f"margin must be a finite number, at least 0, got {margin}")
    return Pair(prompt_of(row, folder), chosen, rejected, margin, line=line)


def _content(message: Message) -> Content:
    return tuple(ImageSlot(part.image) if isinstance(part, ImagePart) else _text(part) for part in message.parts)


def _text(part: TextPart) -> str:
    return part.text


def _list(row: dict[str, Any], name: str) -> list[Any]:
    value = [] if row.get(name) is None else row[name]
    if not isinstance(value, list):
        raise InvalidRolloutError(f"{name} must be a list, got {show(value)}")
    return cast(list[Any], value)


def _image(value: Any, path: str, folder: Path) -> bytes | Path:
    """An encoded image, or the file that holds it, which must be there."""
    fields = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    data, name = fields.get("data"), fields.get("path")
    if isinstance(data, str) and name is None:
        try:
            return base64.b64decode(data, validate=True)
        except ValueError as error:
            raise InvalidRolloutError(f"{path}.data is not base64: {error}") from None
    if not isinstance(name, str) or data is not None:
        raise InvalidRolloutError(f'{path} must be {{"data": base64}} or {{"path": file}}, got {show(value)}')
    file = folder / name
    if not file.is_file():
        raise InvalidRolloutError(f"{path}.path: there is no file {file}")
    if file.stat().st_size > MAX_IMAGE_BYTES:
        raise InvalidRolloutError(f"{path}.path: {file} is larger than {MAX_IMAGE_BYTES} bytes")
    return file
