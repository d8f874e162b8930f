"""Where in a completion the answer may stand, most explicit place first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rewardmesh.rewards.answer import WINDOW, Answer, Tags, after_thinking, anchored, begun, boxed, side_by_side, tagged


def places(completion: str, tags: Tags, to_end: bool = False) -> Iterable[tuple[Answer, ...]]:
    r"""The last `\boxed{}`, GLM's marked answer, the last `<answer>`, what follows an anchor phrase, then all of it.

    Args:
        completion: The policy's text. At most its last `WINDOW` characters are read, some 300 boxes with labels.
        tags: What opens and closes thinking.
        to_end: What follows an anchor goes on to the end of the text, not only of the line.

    Returns:
        The places that exist after thinking; none if it never ended. The first in which an answer is found is the one
        to judge. A place is in several pieces where boxes or tags stand side by side: all of them were answered.
    """
    whole = after_thinking(completion, tags)
    if whole is None:
        return ()
    if len(whole.text) > WINDOW:
        whole = whole.cut(len(whole.text) - WINDOW, len(whole.text))
    # Most answers have no marks, and looking for their characters costs less than looking for them.
    if "\\" in whole.text or "<" in whole.text:
        return _marked(completion, whole, to_end)
    return _unmarked(whole, to_end)


def _marked(completion: str, whole: Answer, to_end: bool) -> Iterator[tuple[Answer, ...]]:
    text = whole.text
    if "\\" in text and (last := boxed(whole)):
        yield side_by_side(completion, boxed, last)
    if "_of_box" in text and (last := begun(whole)):
        yield side_by_side(completion, begun, last)
    if "</" in text and (last := tagged(whole)):
        yield side_by_side(completion, tagged, last)
    yield from _unmarked(whole, to_end)


def _unmarked(whole: Answer, to_end: bool) -> tuple[tuple[Answer, ...], ...]:
    line = anchored(whole)
    if line is None:
        return ((whole,),)
    return (whole.cut(line.start - whole.start, len(whole.text)) if to_end else line,), (whole,)
