"""Where in a completion the answer may stand, most explicit place first."""

from __future__ import annotations

from collections.abc import Iterator

from rewardmesh.rewards.answer import WINDOW, Answer, Tags, after_thinking, anchored, begun, boxed, side_by_side, tagged


def places(completion: str, tags: Tags, to_end: bool = False) -> Iterator[tuple[Answer, ...]]:
    r"""The last `\boxed{}`, GLM's marked answer, the last `<answer>`, what follows an anchor phrase, then all of it.

    Args:
        completion: The policy's text. At most its last `WINDOW` characters are read, some 300 boxes with labels.
        tags: What opens and closes thinking.
        to_end: What follows an anchor goes on to the end of the text, not only of the line.

    Yields:
        The places that exist after thinking; none if it never ended. The first in which an answer is found is the one
        to judge. A place is in several pieces where boxes or tags stand side by side: all of them were answered.
    """
    whole = after_thinking(completion, tags)
    if whole is None:
        return
    if len(whole.text) > WINDOW:
        whole = whole.cut(len(whole.text) - WINDOW, len(whole.text))
    text = whole.text
    # Most answers have none of these, and looking for their letters costs less than looking for them.
    if ("boxed" in text or "fbox" in text) and (last := boxed(whole)):
        yield side_by_side(completion, boxed, last)
    if "_of_box" in text and (last := begun(whole)):
        yield side_by_side(completion, begun, last)
    if "</" in text and (last := tagged(whole)):
        yield side_by_side(completion, tagged, last)
    if line := anchored(whole):
        yield (whole.cut(line.start - whole.start, len(text)) if to_end else line,)
    yield (whole,)
