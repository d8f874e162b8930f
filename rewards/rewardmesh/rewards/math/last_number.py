r"""The last number of a text: what a policy answered that was never taught how to mark an answer.

A guess, and so only for data sets whose configuration asks for it. A number that is part of something larger ("2x",
"3^2", `\sqrt{2}`, "3, 4") is none, and then neither is one before it: that is not what the text ends on.
"""

from __future__ import annotations

import re

from rewardmesh.rewards.answer import Answer

# A number further from the end than this many characters is not what the text ends on.
_WINDOW = 2048
_DECIMAL = r"(?:\d{1,3}(?:(?:[ ,]|\{,\}|\\,)\d{3})++(?!\d)|\d++)(?:\.\d++)?|\.\d++"
_FRACTION = rf"(?:\d{{1,9}} ?)?\\[dtc]?frac\{{-?(?:{_DECIMAL})\}}\{{(?:{_DECIMAL})\}}|(?:\d{{1,9}} )?\d++/\d++"
PERCENT = r"\\{0,2}[%％]|(?:percent|pct)(?![A-Za-z])"
# A number with its sign, its currency and its percent sign. A minus after something else is an operator or a dash.
NUMBER = (
    r"(?:(?<![A-Za-z0-9)\]}])[-−–+])?(?:(?:\\?\$|[€£¥￥])[-−]?)?"
    rf"(?<![A-Za-z0-9_^{{}}/√\\])(?<!\d[.,:])(?<!\d, )(?:{_FRACTION}|{_DECIMAL})(?:\s?(?:{PERCENT}))?"
)
# What makes the number before it part of a name, an ordinal or a formula.
_MORE = (
    r"\d|[.,/:]\d|_|\^(?!\s?\{?\s?\\circ)|(?:st|nd|rd|th)\b|[A-Za-z](?![A-Za-z²³])"
    r"|\s?(?:[π√]|\\(?!\\|[)\]%$,;!\s]|text|mathrm|mbox|quad))"
)
_LAST = re.compile(rf"(?:{NUMBER})(?!{_MORE})")
_DIGIT = re.compile(r"\d")
_CLOSED = re.compile(r"[^\n$]*(?<!\\)\$")


def last_number(text: Answer) -> Answer | None:
    """The last number of a text with its sign, currency and percent sign; None if it ends on no plain number."""
    last: re.Match[str] | None = None
    for match in _LAST.finditer(text.text, max(0, len(text.text) - _WINDOW)):
        last = match
    if last is None or _DIGIT.search(text.text, last.end()):
        return None
    # "$42$": no currency but what encloses a formula
    enclosed = last[0].startswith("$") and _CLOSED.match(text.text, last.end())
    return text.cut(last.start() + bool(enclosed), last.end())
