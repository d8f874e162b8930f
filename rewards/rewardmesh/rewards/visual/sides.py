"""Which answers stand side by side, and which one replaces what stands before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

# Strings and tags: a label may say anything.
_QUOTED = re.compile(r"\"[^\"\n]{0,256}+\"|'[^'\n]{0,256}+'|</?\|?\w{1,32}+\|?>")
# What makes the next answer a new one: a sentence that begins, a correction, a conclusion, a fenced block.
TURN = re.compile(
    r"(?<!\d)[.!?…]['\")*]{0,3}\s{1,64}+\W{0,8}[^\W\d]{2}|[。！？]\s{0,64}+\w"
    r"|(?i:\b(?:wait|no|not|actually|rather|instead|correct(?:ion|ed)?|sorry|so|thus|hence|therefore|final(?:ly)?"
    r"|answer|action|thought)\b)|不对|不是|更正|应该|应为|所以|因此|最终|答案"
)
_FENCE = re.compile(r"```+(\w*)")


class Placed(Protocol):
    """Something that stands at a place in a text."""

    @property
    def start(self) -> int:
        """Where it begins."""
        ...

    @property
    def end(self) -> int:
        """Where it ends, exclusive."""
        ...


T = TypeVar("T", bound=Placed)


def last_run(text: str, answers: Sequence[T], turn: re.Pattern[str] = TURN) -> list[T]:
    """The last answers with nothing said between them: earlier ones were replaced.

    Args:
        text: The completion.
        answers: At least one, in order.
        turn: What counts as something said. Quoted strings and tags never do, a fenced block that opens always does.
    """
    first = len(answers) - 1
    while first > 0 and not _turned(text[answers[first - 1].end : answers[first].start], turn):
        first -= 1
    return list(answers[first:])


def _turned(gap: str, turn: re.Pattern[str]) -> bool:
    fences = _FENCE.findall(gap)
    return (len(fences) == 1 and bool(fences[0])) or turn.search(_QUOTED.sub(" ", gap)) is not None
