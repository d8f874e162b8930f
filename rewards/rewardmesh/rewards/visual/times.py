"""Reads time segments out of a text."""

from __future__ import annotations

import re
from typing import NamedTuple

from rewardmesh.rewards.answer import JOINT

# A text with more numbers than this repeats itself; reading so many costs a millisecond or two.
MAX_TIMES = 256

_DECIMAL = r"\d{1,9}+(?:\.\d{1,24}+)?+"
_STAMP = re.compile(
    # Each way of writing is tried only where its first number is followed by what tells it from the others.
    r"(?=[\dNnIi])(?<![A-Za-z0-9_.])(?<!\d[:：])"
    # 1:02:03.5, 75:10, 00:23.00, with full-width colons too, and as in subtitles 00:01:02,500
    r"(?:(?=\d{1,6}+[:：])(?P<clock>(?:\d{1,3}[:：]\d{1,2}[:：]\d{1,2}(?:,\d{3}(?!\d))"
    r"|(?:\d{1,3}[:：])?\d{1,6}[:：]\d{1,2}(?:\.\d{1,9})?)(?!\d|[:：.]\d))"
    # 1 hour 2 minutes 3.5 seconds, 1m30s, 1分30秒, 1'30", 12s
    rf"|(?={_DECIMAL}[\s-]?[hms小时分秒'′\"″])"
    rf"(?:(?P<units>(?:(?P<h>\d{{1,4}})\s?(?:hours?|hrs?|h|小时|时)\s?(?:and\s)?)?"
    rf"(?:(?P<m>\d{{1,6}})\s?(?:minutes?|mins?|min|m|分钟?|'|′)\s?(?:and\s)?)?"
    rf"(?:(?P<s>{_DECIMAL})[\s-]?(?:seconds?|secs?|s(?![a-z])|秒|\"|″)))"
    rf"|(?P<minutes>{_DECIMAL})[\s-]?(?:minutes?\b|mins?\b|m(?![a-z])|分钟?))"
    rf"|(?P<percent>{_DECIMAL})\s?%"
    rf"|(?P<plain>{_DECIMAL}(?:e[-+]?\d{{1,3}})?)(?!\d|\.\d|[:：]\d)"
    r"|(?P<odd>(?a:nan|inf(?:inity)?))\b)",
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"[\dNnIi](?:(?<=\d)|(?ai:an|nf))")
# What may stand between the start and the end of one segment.
_JOIN = re.compile(
    r"""(?:[\s"'“”<>()\[\]{}/|,，:：;；=~～\-‐‑‒–—―−－→…]|\.{3}
    |\b(?:to|and|until|till|through|ends?|ending|(?:\w{1,8}_)?end_\w{1,12}|t_end|at|the|timestamp|time|seconds?|stops?|it
    |sec|s|is|mark|finish(?:es|ed)?)\b
    |[至到秒第于在为是]|开始|结束|时间)*+""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_JOIN = 64  # characters of the above
# What may stand between two segments given side by side: also quotes, JSON's keys, list markers, "Event 2:".
_BESIDE = re.compile(
    rf"""(?:"[^"\n]{{0,512}}+"|'[^'\n]{{0,512}}+'|{JOINT}|["'“”<>–—…~～]|\b(?:from|between|to|then|also|either|maybe|perhaps|possibly|alternatively|start|end|start_time
    |end_time|timestamp|time|seconds?|secs?|s)\b|(?:\b(?:event|clip|segment|scene)\s?)?\b\d{{1,2}}[.):：]|从|秒|第)*+""",
    re.IGNORECASE | re.VERBOSE,
)
_BRACKETS = ("[", "(", "<")


class Found(NamedTuple):
    """A segment in a text.

    Attributes:
        start_time: As written, in seconds unless the answer's space says otherwise. May be negative or not finite.
        end_time: Likewise.
        start: Where it begins in the text.
        end: Where it ends, exclusive.
    """

    start_time: float
    end_time: float
    start: int
    end: int


def last_segments(text: str, percent: bool = False) -> list[Found] | None:
    """The last segments that stand side by side: one, or several with nothing but a joint between them.

    Those marked as segments by brackets, clocks or units count; where there are none, pairs of plain numbers do.

    Args:
        text: What to read.
        percent: Whether a number with a % sign is a time.

    Returns:
        The segments in order, empty if there are none. None if the text has more than `MAX_TIMES` numbers.
    """
    begin = _BEGINNING.search(text)  # this alone is fast, and spares most texts without times the rest
    if not begin:
        return []
    marked: list[Found] = []
    plain: list[Found] = []
    previous: re.Match[str] | None = None
    for count, match in enumerate(_STAMP.finditer(text, begin.start())):
        if count >= MAX_TIMES:
            return None
        if not percent and match.lastgroup == "percent":
            previous = None
        elif previous is None or not _joined(text, previous, match):
            previous = match
        else:
            start = previous.start()
            found = Found(_seconds(text, previous), _seconds(text, match), start, match.end())
            is_plain = previous.lastgroup == match.lastgroup == "plain" and not _in_brackets(text, start)
            (plain if is_plain else marked).append(found)
            previous = None
    best = marked or plain
    if len(best) < 2:
        return best
    run: list[Found] = []
    for found in best:
        if run and not _beside(text, run[-1].end, found.start):
            run = []
        run.append(found)
    return run


def _beside(text: str, start: int, end: int) -> bool:
    """Whether nothing is said between two segments; what JSON calls them says nothing."""
    if _BESIDE.fullmatch(text, start, end):
        return True
    # Where the segments are in strings themselves, the first quote closes one.
    return text[start] in "\"'" and _BESIDE.fullmatch(text, start + 1, end) is not None


def _joined(text: str, first: re.Match[str], second: re.Match[str]) -> bool:
    """Whether two stamps are the ends of one segment."""
    start, end = first.end(), second.start()
    if end - start > _LONGEST_JOIN or not _JOIN.fullmatch(text, start, end):
        return False
    if first.lastgroup != "plain":
        return True
    join = text[start:end]
    if second.lastgroup == "clock" or join.startswith((":", "：", ")")) or "[" in join or "(" in join:
        # "Event 1: 12s to 15s", "1) 00:12-00:15", "clip 2 [3, 5]": the number before it is a name
        return _in_brackets(text, first.start())
    return True


def _in_brackets(text: str, start: int) -> bool:
    before = text[max(0, start - 4) : start]
    return before.endswith(_BRACKETS) or before.rstrip(" -\"'\n").endswith(_BRACKETS)


def _seconds(text: str, match: re.Match[str]) -> float:
    kind = match.lastgroup or ""
    if kind == "clock":
        written = match[0]
        if "," in written or not written.isascii():
            written = written.replace("：", ":").replace(",", ".")
        seconds = 0.0
        for part in written.split(":"):
            seconds = 60 * seconds + float(part)
    elif kind == "units":
        hours, minutes, rest = match.group("h", "m", "s")
        seconds = 3600 * float(hours or 0) + 60 * float(minutes or 0) + float(rest)
    else:
        seconds = float(match[kind])
        if kind == "minutes":
            seconds *= 60
    start = match.start()
    return -seconds if start and text[start - 1] == "-" and _negates(text, start - 1) else seconds


def _negates(text: str, dash: int) -> bool:
    """Whether a dash before a number is a minus sign, and does not stand between two numbers."""
    return text[max(0, dash - 3) : dash].rstrip(" ")[-1:] in ("", "[", "(", "<", ",", ":", "=")
