"""The tokens of a scalar formula in canonical LaTeX."""

from __future__ import annotations

import re

from rewardmesh.rewards.math.formula.value import UnreadableError

__all__ = ["Tokens"]

_TOKEN = re.compile(
    r" *(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<name>[A-Za-z](?:_(?:\{[A-Za-z0-9+-]{1,12}\}|[A-Za-z0-9]))?)"
    r"|(?P<command>\\(?:[A-Za-z]+|[{}|]))|(?P<mark>[-+*/^_!(){}\[\]|:=]))"
)


class Tokens:
    """A text, token by token.

    Attributes:
        source: The text.
        kind: Of the current token: number, name, command or mark; empty at the end.
        text: The current token; empty at the end.
        end: Where it ends in the source.
    """

    def __init__(self, text: str) -> None:
        self.source = text
        self.end = 0
        self.kind = self.text = ""
        self.advance()

    def expect(self, text: str) -> None:
        """Goes on to the next token, if this is the current one."""
        if self.text != text:
            raise UnreadableError(f"expected {text!r}, found {self.text!r}")
        self.advance()

    def place(self) -> tuple[int, str, str]:
        """Where it is, to come back to by `go_back`."""
        return self.end, self.kind, self.text

    def go_back(self, place: tuple[int, str, str]) -> None:
        """Goes back to a token."""
        self.end, self.kind, self.text = place

    def advance(self) -> None:
        """Goes on to the next token."""
        match = _TOKEN.match(self.source, self.end)
        if match is None:
            if self.source[self.end :].strip():
                raise UnreadableError(f"unexpected {self.source[self.end]!r}")
            self.kind = self.text = ""
            return
        self.kind = match.lastgroup or ""
        self.text = match[self.kind]
        self.end = match.end()
