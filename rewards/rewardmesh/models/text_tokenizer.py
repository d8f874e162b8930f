"""Turns a conversation into the token ids a text reward model reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

# ChatML, the format of Qwen's models: <|im_start|>role \n content <|im_end|> \n
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One conversation as token ids.

    Attributes:
        ids: What the model reads: the end of the prompt and the whole completion. Empty when the completion alone is
            longer than the limit.
        cut: How many tokens of the prompt were cut off at its left.
        completion: How many tokens the completion has, with its template.
    """

    ids: list[int]
    cut: int
    completion: int


class TextTokenizer:
    """A checkpoint's `tokenizer.json` and the ChatML template.

    Contents are tokenised apart from the template, and with special tokens split: a completion that spells
    `<|im_end|><|im_start|>` is text to the model and cannot open a turn of its own. `AutoTokenizer` is avoided because
    it may replace the file's pre-tokenizer by the one its model type usually has.

    Args:
        folder: A checkpoint folder.

    Raises:
        OSError: There is no `tokenizer.json`.
        ValueError: The file is no tokenizer, or it lacks the template's tokens.
    """

    def __init__(self, folder: Path) -> None:
        text = (folder / "tokenizer.json").read_text(encoding="utf-8")
        try:
            self._tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the Rust side raises bare Exception
            raise ValueError(f"tokenizer.json cannot be read: {error}") from error
        self._tokenizer.no_truncation()  # limits are ours to keep: the file's own would cut the completion's end
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._start = self._special(TURN_START)
        self._end = [self._special(TURN_END), *self._encode("\n")]

    @property
    def size(self) -> int:
        """One more than the largest token id."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, turns: Iterable[tuple[str, str]], completion: str, limit: int) -> Encoded:
        """Encodes a prompt, given as (role, content) turns, and the assistant's completion in at most `limit` tokens.

        What is too long loses the beginning of its prompt, never a token of its completion.
        """
        prompt = [token for role, content in turns for token in self._turn(role, content)]
        answer = self._turn("assistant", completion)
        if len(answer) > limit:
            return Encoded([], len(prompt), len(answer))
        cut = max(0, len(prompt) + len(answer) - limit)
        return Encoded(prompt[cut:] + answer, cut, len(answer))

    def _turn(self, role: str, content: str) -> list[int]:
        return [self._start, *self._encode(f"{role}\n{content}"), *self._end]

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _special(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"tokenizer.json has no token {token}: only ChatML checkpoints are supported")
        return found
