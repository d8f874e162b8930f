"""A tokenizer small enough to need no training: words, two-digit numbers and characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Runs of letters, pairs of digits, and every other character by itself. No quantifier is nested: linear in the text.
_PIECE = re.compile(r"[a-z]+|[0-9]{1,2}|.", re.DOTALL)
_CHARACTERS = tuple("\n" + "".join(map(chr, range(32, 127))))
_PAIRS = tuple(f"{n:02d}" for n in range(100))

PAD = "<pad>"
EOS = "<eos>"
IMAGE = "<image>"
USER = "<user>"
ASSISTANT = "<assistant>"
_SPECIALS = (PAD, EOS, IMAGE, USER, ASSISTANT)


class WordTokenizer:
    """Turns text into token ids and back, without loss.

    Special tokens have ids but no spelling: text that reads "<eos>" is encoded as its characters, so neither a prompt
    nor a completion can forge one.

    Attributes:
        specials: The id of each special token, by name.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        """Gives these lower-case words a token each; all other text is spelt with printable ASCII characters."""
        pieces = dict.fromkeys((*_CHARACTERS, *_PAIRS, *words))
        self._pieces = (*_SPECIALS, *pieces)
        self._ids = {piece: i for i, piece in enumerate(self._pieces) if i >= len(_SPECIALS)}
        self.specials = {name: i for i, name in enumerate(_SPECIALS)}

    def __len__(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        Raises:
            ValueError: The text holds a character that is not printable ASCII.
        """
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            known = self._ids.get(piece)
            if known is not None:
                ids.append(known)
                continue
            for character in piece:
                if character not in self._ids:
                    raise ValueError(f"this tokenizer knows printable ASCII only, got {character!r}")
                ids.append(self._ids[character])
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids. Special tokens are left out."""
        return "".join(self._pieces[i] for i in ids if i >= len(_SPECIALS))
