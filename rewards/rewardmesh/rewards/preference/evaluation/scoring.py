"""Scores prompts and their completions from data files with a checkpoint, some at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardmesh.models.chat import TemplateError
from rewardmesh.models.pictures import ImageError
from rewardmesh.rewards.preference.checkpoint import Checkpoint, Conversation, Read
from rewardmesh.rewards.preference.training.pair_file import DataError, Prompt
from rewardmesh.rewards.preference.training.progress import bar

# Prompts that are tokenised before they are scored: bounds memory where they have images.
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and the completions to be scored; `line` is where it stands in its file, from 1 on."""

    prompt: Prompt
    completions: Sequence[str]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """A completion's raw score.

    Attributes:
        raw: None if the completion alone is longer than the model reads.
        tokens: How many it has, with its template.
        cut: How many tokens of its prompt were cut off.
    """

    raw: float | None
    tokens: int
    cut: int


def score(checkpoint: Checkpoint, questions: Sequence[Question], what: str = "scoring") -> list[list[Scored]]:
    """The completions' scores, question by question, in order.

    Raises:
        DataError: A prompt or an image cannot be read; the message names the line.
        OSError: A file cannot be read.
    """
    found: list[list[Scored]] = []
    with bar(len(questions), what) as shown:
        for start in range(0, len(questions), _CHUNK):
            chunk = questions[start : start + _CHUNK]
            reads = [_read(checkpoint, question) for question in chunk]
            fitting = [(r.reading, place) for place, group in enumerate(reads) for r in group if r.reading]
            raw = iter(checkpoint.scores([reading for reading, _ in fitting], [place for _, place in fitting]))
            for group in reads:
                found.append([Scored(next(raw) if r.reading else None, r.completion, r.cut) for r in group])
            shown.update(len(chunk))
    return found


def _read(checkpoint: Checkpoint, question: Question) -> list[Read]:
    images = question.prompt.load_images()
    try:
        pictures = checkpoint.look(images)
        return [
            checkpoint.read(Conversation(question.prompt.turns, completion, images), pictures)
            for completion in question.completions
        ]
    except (ImageError, TemplateError, ValueError) as error:
        raise DataError(f"line {question.line}: {error}") from error
