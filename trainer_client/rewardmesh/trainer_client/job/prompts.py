"""Prompts of a JSONL file, read when they are drawn."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from rewardmesh.contract import Image
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.json_form import rollout_from_json
from rewardmesh.trainer_client.rollout import Prompt


class PromptsError(ValueError):
    """A file of prompts cannot be used; the message names the line."""


class JsonlPrompts:
    """The prompts of one file: rollouts in the JSON form, a line each, without completions.

    Only the places of the lines are kept in memory. Images given as URIs are files beside the JSONL file, or below its
    folder; their bytes go to the policy and to the reward.

    Attributes:
        task: That of all prompts.
        ids: Of the prompts, in order.
        digest: Of the file's prompts.
    """

    def __init__(self, path: Path, source: str, task: str = "") -> None:
        """Reads the file once, to check every line.

        Args:
            path: The file.
            source: The data set's name, for lines that name none.
            task: The task of lines that name none.

        Raises:
            PromptsError: There is no such file or no prompt in it, or a line is wrong: it is no rollout, lacks a prompt
                or a task, has another task than the first, an id that came before, or an image that is not there.
        """
        self._path, self._source = path, source
        self.task = task
        self._places: list[tuple[int, int]] = []
        seen: dict[str, int] = {}
        digest = hashlib.sha256()
        try:
            self._file = os.open(path, os.O_RDONLY)
            with path.open("rb") as file:
                start = 0
                for number, line in enumerate(file, 1):
                    if line.strip():
                        self._check(line, number, seen)
                        self._places.append((start, len(line)))
                        digest.update(line.strip() + b"\n")
                    start += len(line)
        except OSError as error:
            raise PromptsError(f"{path}: {error.strerror or error}") from error
        if not self._places:
            raise PromptsError(f"{path} has no prompts")
        self.ids = list(seen)
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)

    def __getitem__(self, index: int, /) -> Prompt:
        """The prompt number `index`, with its images. Raises PromptsError if the file was changed meanwhile."""
        start, length = self._places[index]
        prompt = self._read(os.pread(self._file, length, start), f"{self._path}, prompt {index + 1}")
        return replace(prompt, images=tuple(self._loaded(image) for image in prompt.images))

    def _check(self, line: bytes, number: int, seen: dict[str, int]) -> None:
        where = f"{self._path}:{number}"
        prompt = self._read(line, where)
        self.task = self.task or prompt.task
        if prompt.task != self.task:
            raise PromptsError(
                f"{where}: its task is {prompt.task!r}, that of others {self.task!r}; a file has one task"
            )
        if prompt.id in seen:
            raise PromptsError(f"{where}: the id {prompt.id!r} is that of line {seen[prompt.id]}")
        seen[prompt.id] = number
        for image in prompt.images:
            if image.uri and not self._file_of(image).is_file():
                raise PromptsError(f"{where}: there is no image {self._file_of(image)}")

    def _read(self, line: bytes, where: str) -> Prompt:
        try:
            fields: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PromptsError(f"{where}: not JSON: {error}") from None
        try:
            if isinstance(fields, dict):
                fields = {"completion": ""} | cast(dict[str, Any], fields)
            rollout = rollout_from_json(fields)
        except (InvalidRolloutError, InvalidReferenceError) as error:
            raise PromptsError(f"{where}: {error}") from None
        task = rollout.task or self.task
        if not rollout.messages or not task:
            raise PromptsError(f"{where}: {'task' if rollout.messages else 'prompt'} is missing")
        return Prompt(
            id=rollout.id,
            task=task,
            source=rollout.source or self._source,
            messages=rollout.messages,
            reference=rollout.reference,
            images=rollout.images,
            answer_space=rollout.answer_space,
            metadata=rollout.metadata,
        )

    def _file_of(self, image: Image) -> Path:
        return self._path.parent / image.uri.removeprefix("file://")

    def _loaded(self, image: Image) -> Image:
        return Image(self._file_of(image).read_bytes()) if image.uri else image
