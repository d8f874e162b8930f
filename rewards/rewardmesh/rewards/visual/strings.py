"""Quoted strings as models write them: in either quote, escaped or not, with quotes of their own kind inside."""

from __future__ import annotations

import re

# A quote inside a string does not end it: what ends it is followed by what may follow a value.
_AFTER = r"(?=\s{0,64}+(?:[,}\])>/;]|$))"
_MAX_INNER = 16  # quotes inside a string that are not escaped
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def quoted(lines: bool = False) -> str:
    """A pattern of a string, whose text is the first or the second of its two groups.

    A string that does not end is read to its last inner quote at most, so that looking for one at every quote of a text
    reads none of its characters more than some `_MAX_INNER` times.

    Args:
        lines: Whether it may go on over several lines.
    """
    line = "" if lines else r"\n"
    double, single = (
        rf"{quote}({run}(?:{quote}(?!{_AFTER}){run}){{0,{_MAX_INNER}}}+){quote}"
        for quote in ('"', "'")
        for run in [rf"[^{quote}\\{line}]*+(?:\\.[^{quote}\\{line}]*+)*+"]
    )
    return rf"(?<!\\)(?:{double}|{single})"


def plain(match: re.Match[str], group: int = 1) -> str:
    """The text of a string as it is meant, without escapes.

    Args:
        match: Of a pattern with `quoted` in it.
        group: The first of its two groups.
    """
    text = match[group] if match[group] is not None else match[group + 1]
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(_meant, text)
    if _SURROGATE.search(text):  # pairs of escapes make one character; a lone one is none and could not be sent on
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _meant(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _MEANT.get(escape[2], escape[2])
