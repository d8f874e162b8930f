"""Turns a conversation into the token ids a reward model reads: control comes from the template alone."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from rewardmesh.models.chat_template import TemplateError, pieces

# ChatML, the format of Qwen's models.
TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ANSWERS = "assistant"
_ROLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """Where an image stands in a turn's content: an index into the rollout's images."""

    image: int


Content = Sequence[str | ImageSlot]
Turn = tuple[str, Content]
"""A role and the parts of its content."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One conversation as token ids.

    Attributes:
        ids: What the model reads: the end of the prompt and the whole completion. Empty when the completion alone is
            longer than the limit.
        prompt: How many of them stand before the completion's own: the same for every completion of a prompt.
        cut: How many tokens of the prompt were cut off at its left.
        completion: How many tokens the completion has, with its template.
        images: Which of the rollout's images are left in `ids`, in order.
    """

    ids: list[int]
    prompt: int
    cut: int
    completion: int
    images: tuple[int, ...] = ()


class ChatTokenizer:
    """A checkpoint's `tokenizer.json` and its chat template (ChatML where it has none).

    Contents are tokenised apart from the template, and with special tokens split: a completion that spells
    `<|im_end|><|im_start|>` is text to the model and cannot open a turn of its own. `AutoTokenizer` is avoided because
    it may replace the file's pre-tokenizer by the one its model type usually has.

    Args:
        folder: A checkpoint folder.
        image_token: The id that stands for a piece of an image; None for a model that reads text only.

    Raises:
        OSError: There is no `tokenizer.json`.
        ValueError: A file cannot be read, or the tokenizer lacks the template's tokens.
    """

    def __init__(self, folder: Path, image_token: int | None = None) -> None:
        text = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._contents, self._controls = _tokenizer(text), _tokenizer(text)
        self._contents.encode_special_tokens = True
        config = _json(folder / "tokenizer_config.json")
        self._template = _template(folder, config)
        if self._template == CHATML:
            for token in (TURN_START, TURN_END):
                if self._controls.token_to_id(token) is None:
                    raise ValueError(f"there is no chat template, and tokenizer.json has no token {token} for ChatML")
        self._specials = {name: _spelling(config.get(name)) for name in ("bos_token", "eos_token")}
        self._image_token = image_token
        self._skeleton = lru_cache(256)(self._read_skeleton)
        try:
            self._closing = self._skeleton((("user", "t"),))[-1]
        except TemplateError as error:
            raise ValueError(f"the chat template cannot be used: {error}") from error

    @property
    def size(self) -> int:
        """One more than the largest token id."""
        return max(self._contents.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def closing(self) -> list[int]:
        """What the template writes behind the assistant's answer."""
        return self._closing

    @property
    def specials(self) -> dict[int, str]:
        """Control tokens and their spelling, by id."""
        added = self._controls.get_added_tokens_decoder()
        return {number: token.content for number, token in added.items() if token.special}

    def text_ids(self, text: str) -> list[int]:
        """A text alone: no control token, whatever it spells."""
        return self._encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, without control tokens."""
        return self._controls.decode(ids, skip_special_tokens=True)

    def open(self, turns: Sequence[Turn], images: Sequence[Sequence[int]] = ()) -> list[int]:
        """A prompt, up to where the assistant's answer begins.

        Args:
            turns: The prompt.
            images: What the model reads in the place of each of the rollout's images.

        Raises:
            TemplateError: The template refuses such a conversation.
        """
        if "add_generation_prompt" in self._template:
            skeleton = self._skeleton(_shape(turns), open_ended=True)
        else:  # what it writes before an answer that is there
            skeleton = self._skeleton(_shape(turns))[:-1]
        texts = [part for _, parts in turns for part in parts if isinstance(part, str)]
        slots = iter([part.image for _, parts in turns for part in parts if isinstance(part, ImageSlot)])
        ids: list[int] = []
        for place, control in enumerate(skeleton):
            for token in control:
                ids += images[next(slots)] if token == self._image_token else [token]
            if place < len(texts):
                ids += self._encode(texts[place])
        return ids

    def encode(self, turns: Sequence[Turn], completion: str, limit: int, image_tokens: Sequence[int] = ()) -> Encoded:
        """Encodes a prompt and the assistant's completion in at most `limit` tokens.

        What is too long loses the beginning of its prompt, never a token of its completion. An image is cut whole.

        Args:
            turns: The prompt.
            completion: What the assistant answers.
            limit: How many tokens the model reads.
            image_tokens: How many tokens each of the rollout's images takes.

        Raises:
            TemplateError: The template refuses such a conversation (a role it does not know, say).
        """
        skeleton = self._skeleton(_shape(turns))
        texts = [part for _, parts in turns for part in parts if isinstance(part, str)]
        slots = [part.image for _, parts in turns for part in parts if isinstance(part, ImageSlot)]
        prompt, images = self._prompt(skeleton[:-1], texts, slots, image_tokens)
        answer = self._encode(completion) + skeleton[-1]
        if len(answer) > limit:
            return Encoded([], 0, len(prompt), len(answer))
        cut = max(0, len(prompt) + len(answer) - limit)
        for begin, end, _ in images:
            if begin < cut < end:
                cut = end
        left = tuple(image for begin, _, image in images if begin >= cut)
        return Encoded(prompt[cut:] + answer, len(prompt) - cut, cut, len(answer), left)

    def _prompt(
        self, skeleton: Sequence[list[int]], texts: Sequence[str], slots: Sequence[int], image_tokens: Sequence[int]
    ) -> tuple[list[int], list[tuple[int, int, int]]]:
        """The ids up to the completion, and where each image begins and ends in them, with its index."""
        ids: list[int] = []
        images: list[tuple[int, int, int]] = []
        left = iter(slots)
        for place, control in enumerate(skeleton):
            for token in control:
                if token == self._image_token:
                    image = next(left)
                    images.append((len(ids), len(ids) + image_tokens[image], image))
                    ids += [token] * image_tokens[image]
                else:
                    ids.append(token)
            if place < len(texts):
                ids += self._encode(texts[place])
        return ids, images

    def _read_skeleton(self, shape: tuple[tuple[str, str], ...], open_ended: bool = False) -> tuple[list[int], ...]:
        """The template's ids around the texts of a conversation of such turns, in order.

        An answer follows the turns, or, `open_ended`, the place where one begins.
        """
        mark = secrets.token_hex(8)
        spellings = (f"{mark}x{number}x" for number in range(1_000_000))
        marks: list[str] = []

        def text() -> str:
            marks.append(next(spellings))
            return marks[-1]

        messages: list[dict[str, Any]] = []
        for role, kinds in (*shape, *([] if open_ended else [(_ANSWERS, "t")])):
            if not _ROLE.fullmatch(role):  # a template writes it where control tokens are read
                raise TemplateError(f"{role!r:.80} is no role")
            parts = [{"type": "image"} if kind == "i" else {"type": "text", "text": text()} for kind in kinds]
            alone = "i" not in kinds
            messages.append({"role": role, "content": "".join(part["text"] for part in parts) if alone else parts})
        names = {**self._specials, "add_generation_prompt": open_ended}
        found = [
            self._controls.encode(piece, add_special_tokens=False).ids
            for piece in pieces(self._template, messages, marks, names)
        ]
        wanted = sum(kinds.count("i") for _, kinds in shape)
        held = sum(ids.count(self._image_token) for ids in found) if self._image_token is not None else 0
        if held != wanted:
            raise TemplateError(f"it has {held} places for {wanted} images")
        return tuple(found)

    def _encode(self, text: str) -> list[int]:
        return self._contents.encode(text, add_special_tokens=False).ids


def _shape(turns: Sequence[Turn]) -> tuple[tuple[str, str], ...]:
    """Each turn's role and which of its parts are images."""
    return tuple((role, "".join("i" if isinstance(p, ImageSlot) else "t" for p in parts)) for role, parts in turns)


def _tokenizer(text: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the Rust side raises bare Exception
        raise ValueError(f"tokenizer.json cannot be read: {error}") from error
    tokenizer.no_truncation()  # limits are ours to keep: the file's own would cut the completion's end
    tokenizer.no_padding()
    return tokenizer


def _template(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    found = config.get("chat_template") or _json(folder / "chat_template.json").get("chat_template") or CHATML
    if isinstance(found, list):  # several by name
        found = {each["name"]: each["template"] for each in found}.get("default", CHATML)
    return str(found)


def _spelling(token: Any) -> str:
    return token.get("content", "") if isinstance(token, dict) else token or ""


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
