"""Whether the text of an action is the right one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_TOKEN = re.compile(r"[㐀-鿿]|[^\W㐀-鿿]+")  # a Chinese character, or a word in another script
_BETWEEN_KEYS = re.compile(r"[\s+\-,]+")
_KEY = {"control": "ctrl", "return": "enter", "escape": "esc", "del": "delete", "command": "cmd", "super": "win"}


def normalised(text: str) -> str:
    """The text in Unicode's compatible form, without case, and with one space for every run of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same_keys(a: str, b: str) -> bool:
    """Whether two combinations name the same keys, in whatever order: "Ctrl+C", "ctrl c" and "c-control"."""
    return normalised(a) == normalised(b) or _keys(a) == _keys(b) != set()


def token_f1(answered: str, truth: str) -> float:
    """The harmonic mean of precision and recall of the answer's tokens, each as often as it occurs; in [0, 1].

    As in SQuAD (arXiv 1606.05250), and in GUI-R1 (arXiv 2504.10458), which takes 0.5 for right. A text with no tokens
    is right only if it is the same.
    """
    a, b = (_TOKEN.findall(normalised(text)) for text in (answered, truth))
    if not a or not b:
        return float(normalised(answered) == normalised(truth))
    return 2 * (Counter(a) & Counter(b)).total() / (len(a) + len(b))


def _keys(text: str) -> set[str]:
    names = _BETWEEN_KEYS.split(normalised(text).strip(" +-,"))
    return {_KEY.get(name, name).removeprefix("arrow") for name in names if name}
