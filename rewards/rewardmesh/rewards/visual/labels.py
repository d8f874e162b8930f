"""The labels that models write beside boxes and points."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence

from rewardmesh.rewards.visual.strings import plain, quoted

_LONGEST = 256  # characters of a label in a tag
_KEYS = r"(?:label|text(?:_content)?|name|element(?:_name|_info)?|c(?:ategory|lass(?:_name)?|aption)|description)"
_VALUE = quoted()
_KEYED = re.compile(rf"[\"']{_KEYS}[\"']\s{{0,64}}+:\s{{0,64}}+{_VALUE}")
_ALT = re.compile(rf"\balt=(?:\"([^\"]{{0,{_LONGEST}}}+)\"|'([^']{{0,{_LONGEST}}}+)')")
# <ref>cat</ref>, <|ref|>cat<|/ref|>, <|object_ref_start|>cat<|object_ref_end|>
_REFERRED = re.compile(rf"<\|?(?:object_)?ref(?:_start)?\|?>([^<]{{1,{_LONGEST}}}+)<")
# Florence-2 gives the labels in a list of their own, behind the list of boxes.
_LISTED = re.compile(r"[\"'](?:bboxes_)?labels[\"']\s{0,64}+:\s{0,64}+\[([^\[\]]{0,16384}+)")
_ITEM = re.compile(_VALUE)


def labels(text: str, spans: Sequence[tuple[int, int]]) -> list[str | None]:
    """The labels of what stands at these places.

    Args:
        text: A piece of a completion.
        spans: Where its boxes or points begin and end in it, in order.

    Returns:
        One label per place: empty where none is written, None where the place is itself part of a label. Nothing if
        no label is written at all.
    """
    found: list[str | None] = []
    if '"' in text or "'" in text:
        for match in _KEYED.finditer(text):
            found = found or _blank(spans)
            _give(text, spans, found, match)
        if "alt=" in text:
            for match in _ALT.finditer(text):
                found = found or _blank(spans)
                _give(text, spans, found, match)
        if not found and "labels" in text and (match := _LISTED.search(text)):
            found += (plain(item) for item in _ITEM.finditer(match[1]))
            return found if len(found) == len(spans) else []
    if "ref" in text:
        for match in _REFERRED.finditer(text):
            found = found or _blank(spans)
            first = bisect(spans, (match.end(), -1))
            found[first:] = [match[1].strip()] * (len(spans) - first)  # until the next reference takes over
    return found


def _blank(spans: Sequence[tuple[int, int]]) -> list[str | None]:
    return [""] * len(spans)


def _give(text: str, spans: Sequence[tuple[int, int]], found: list[str | None], match: re.Match[str]) -> None:
    """Gives a label to the place in the same JSON object: the one before it, or else the one behind it."""
    start, end = match.span()
    i = bisect(spans, (start, -1))
    while i < len(spans) and spans[i][1] <= end:
        found[i] = None
        i += 1
    before = i - 1
    while before >= 0 and found[before] is None:
        before -= 1
    if before >= 0 and not found[before] and text.find("{", spans[before][1], match.start()) < 0:
        found[before] = plain(match)
    elif i < len(spans) and not found[i] and all(text.find(brace, end, spans[i][0]) < 0 for brace in "{}"):
        found[i] = plain(match)
