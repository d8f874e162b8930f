"""A reward model's checkpoint folder, loaded: conversations in, raw scores out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rewardmesh.models.chat import ChatTokenizer, Turn
from rewardmesh.models.pictures import Eye, Picture
from rewardmesh.models.prefix_cache import CACHE_BYTES
from rewardmesh.models.reward_model import Dtype, Reading, RewardModel
from rewardmesh.models.scorer import Scorer

# Weights are told apart by this much of the beginning and the end of their files: hashing all of a large model takes
# minutes, and no two trainings end in the same megabyte.
_HASHED = 1 << 20


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is scored: a prompt's turns, the assistant's completion, and the encoded images that the turns refer to."""

    turns: Sequence[Turn]
    completion: str
    images: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """A conversation as the model takes it.

    Attributes:
        reading: Its tokens and pictures; None when the completion alone is longer than what the model reads.
        cut: How many tokens of the prompt were cut off at its left.
        completion: How many tokens the completion has, with its template.
    """

    reading: Reading | None
    cut: int
    completion: int


class Checkpoint:
    """A model, its tokenizer and, where it sees, its image processor.

    Args:
        folder: Weights in safetensors, `config.json`, `tokenizer.json`; `preprocessor_config.json` for one that sees.
        device: See `RewardModel.load`, as for the next two.
        dtype: The number format.
        output: Which output of the head is the score.
        cache_bytes: What may be remembered of prompts.

    Attributes:
        folder: Where it lies.
        sees: Whether images really enter it.
        digest: Of its weights, its tokenizer and its configuration.

    Raises:
        OSError: A file is missing.
        Exception: Whatever its libraries raise for damaged files.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "auto",
        dtype: Dtype = "auto",
        output: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.folder = folder
        self.model = RewardModel.load(folder, device, dtype, output)
        self.tokenizer = ChatTokenizer(folder, self.model.image_token)
        self.model.check_vocabulary(self.tokenizer.size)
        self.sees = self.model.image_token is not None
        self.digest = _digest(folder, output)
        self._eye = Eye(folder) if self.sees else None
        self._scorer = Scorer(self.model, cache_bytes)

    def read(self, conversation: Conversation, pictures: Sequence[Picture] | None = None) -> Read:
        """Tokens and pictures of a conversation.

        Args:
            conversation: To be read.
            pictures: Its images, if `look` has seen them already.

        Raises:
            ImageError: An image cannot be read.
            TemplateError: The template refuses the conversation.
        """
        seen = self.look(conversation.images) if pictures is None else pictures
        tokens = [picture.tokens for picture in seen]
        found = self.tokenizer.encode(conversation.turns, conversation.completion, self.model.max_tokens, tokens)
        reading = Reading(found.ids, found.prompt, tuple(seen[i] for i in found.images)) if found.ids else None
        return Read(reading, found.cut, found.completion)

    def look(self, images: Sequence[bytes]) -> list[Picture]:
        """The images as the model takes them. Raises ImageError; ValueError for a model that does not see."""
        if images and self._eye is None:
            raise ValueError("the model reads text only")
        return [self._eye.look(image) for image in images] if self._eye else []

    def scores(self, readings: Sequence[Reading], groups: Sequence[Hashable]) -> list[float]:
        """The raw scores, in order. See `Scorer.scores`."""
        return self._scorer.scores(readings, groups)

    def raw_scores(self, conversations: Sequence[Conversation]) -> list[float]:
        """The raw scores of conversations that all fit the model, in order. Raises ValueError for one that does not."""
        readings: list[Reading] = []
        for place, conversation in enumerate(conversations):
            found = self.read(conversation).reading
            if found is None:
                raise ValueError(f"conversation {place}: its completion is longer than the model reads")
            readings.append(found)
        return self.scores(readings, range(len(readings)))


def _digest(folder: Path, output: int | None) -> str:
    told = sha256(repr(output).encode())
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (folder / name).exists():
            told.update((folder / name).read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        told.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            told.update(stream.read(_HASHED))
            stream.seek(max(0, size - _HASHED))
            told.update(stream.read(_HASHED))
    return told.hexdigest()[:12]
