"""Where in a completion the answer may stand, most explicit place first."""

from __future__ import annotations

from collections.abc import Iterator

from rewardmesh.rewards.answer import WINDOW, Answer, after_thinking, anchored, boxed, side_by_side, tagged


def places(completion: str, to_end: bool = False) -> Iterator[tuple[Answer, ...]]:
    r"""The last `\boxed{}`, the last `<answer>`, what follows the last anchor phrase, then all of it after thinking.

    Args:
        completion: The policy's text. At most its last `WINDOW` characters are read, some 300 boxes with labels.
        to_end: What follows an anchor goes on to the end of the text, not only of the line.

    Yields:
        The places that exist; none if thinking never ended. The first in which an answer is found is the one to judge.
        A place is in several pieces where boxes or tags stand side by side: all of them are what was answered.
    """
    answer = after_thinking(completion)
    if answer is None:
        return
    whole = answer.cut(max(0, len(answer.text) - WINDOW), len(answer.text))
    for find in (boxed, tagged):
        if last := find(whole):
            yield side_by_side(completion, find, last)
    if line := anchored(whole):
        yield (whole.cut(line.start - whole.start, len(whole.text)) if to_end else line,)
    yield (whole,)
