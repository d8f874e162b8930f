r"""One spelling for the many ways a LaTeX answer is written.

Only spelling changes here: `canonical` never changes what a text means, so two texts with one canonical form are equal.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_GLYPHS = str.maketrans(
    {
        "，": ",", "（": "(", "）": ")", "：": ":", "；": ";", "［": "[", "］": "]", "−": "-", "–": "-", "％": "%",
        "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "π": r"\pi ", "∞": r"\infty ", "±": r"\pm ",
        "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "°": r"^\circ ", "½": r"\frac{1}{2}",
        "²": "^2", "³": "^3", "\u00a0": " ", "\u2009": " ", "　": " ",
    }
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
)  # fmt: skip
# Each with characters one of which must be there for it to match: most texts are spared most of the searches.
_SPELLINGS = [
    (needed, re.compile(pattern), replacement)
    for needed, pattern, replacement in (
        ("\\", r"\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])", ""),
        ("\\", r"\\(?:displaystyle|textstyle|limits)(?![a-zA-Z])|\\!\s*", ""),
        ("\\", r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        ("\\", r"\\frac\s*(\d)\s*(?=[\d{])", r"\\frac{\1}"),
        ("\\", r"(\\frac\{[^{}]*\})\s*(\d)", r"\1{\2}"),
        (
            "\\",
            r"\\(?:text(?:bf|it|rm|normal|sf)|math(?:rm|bf|it|sf)|[mh]box|bm|boldsymbol)(?![a-zA-Z])\s*",
            r"\\text",
        ),
        ("\\", r"\\text\s+\{", r"\\text{"),
        ("\\{", r"(?<=\d)(?:\\[,; ]|\{ ?, ?\})(?=\d{3}(?!\d))", ","),  # thousands: 10\,000 and 10{,}000
        ("\\~", r"(?<!\\)\\(?:[,;: ]|q?quad)|~", " "),
        ("\\<", r"\\le(?:q|qslant)(?![a-zA-Z])|<=", r"\\le "),
        ("\\>", r"\\ge(?:q|qslant)(?![a-zA-Z])|>=", r"\\ge "),
        ("\\", r"\\varnothing(?![a-zA-Z])", r"\\emptyset "),
        ("\\!", r"\\neq(?![a-zA-Z])|!=", r"\\ne "),
        ("\\", r"\^\s*\{?\s*\\(?:circ|degree)(?![a-zA-Z])\s*\}?|\\degrees?(?![a-zA-Z])", r"^\\circ "),
        ("\\p", r"\\%|\s*\b(?:percent(?:age)?|pct)\b", "%"),
        ("*", r"\*\*", "^"),
        ("_^", r"([_^])\{(\w)\}(?!\d)", r"\1\2"),
        (" \t\n\r\f\v", r"\s+", " "),
        # "32, 349" is a list and "32,349" is not
        (" ", r"(?<![A-Za-z0-9])(?<!\d,) |(?<=\d,) (?!\d{3}(?!\d))| (?![A-Za-z0-9])", ""),
        ("\\", r"(?<=[{(^_=+*/-])\\text\{(\w)\}", r"\1"),
    )
]
# What is in that spelling already: most answers.
_SPELT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?|[A-Za-z]")
# The answers of a group repeat each other, and each is looked at more than once.
_REMEMBERED, _REMEMBERED_LENGTH = 4096, 1024
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_COMMAND = re.compile(r"\\(?:begin|end)\{[a-z*]*\}|\\[a-zA-Z]+")
_WORD = re.compile(r"[^\W\d_]{3,}")
# Names that a formula may spell without a backslash.
_FUNCTIONS = frozenset(
    ("sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "sqrt", "max", "min", "gcd", "lcm", "and", "inf", "mod")
)


def canonical(text: str) -> str:
    """The text in one spelling: no delimiters, no spacing commands, no final full stop."""
    text = text.strip()
    if _SPELT.fullmatch(text):
        return text
    return _canonical(text) if len(text) <= _REMEMBERED_LENGTH else _canonical.__wrapped__(text)


@lru_cache(maxsize=_REMEMBERED)
def _canonical(text: str) -> str:
    for _ in range(len(_WRAPPERS)):
        stripped = unwrap(text).rstrip(" .,;:。；，、\n")
        if stripped == text:
            break
        text = stripped
    text = text if text.isascii() else text.translate(_GLYPHS)
    if text.startswith("$") and text.count("$") == 1:
        text = "\\" + text  # not a delimiter but dollars
    if "$" in text:
        text = re.sub(r"(?<!\\)\$", "", text)
    if "\\\\" in text and "\\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)  # escaped once too often
    for needed, pattern, replacement in _SPELLINGS:
        for character in needed:
            if character in text:
                text = pattern.sub(replacement, text)
                break
    return text.strip()


def unwrap(text: str) -> str:
    """The text without one pair of math or Markdown delimiters around all of it."""
    for opening, closing in _WRAPPERS:
        inner = text[len(opening) : -len(closing)]
        if inner.strip() and text.startswith(opening) and text.endswith(closing) and opening not in inner:
            return inner.strip()
    return text


def plain(text: str) -> str:
    r"""A canonical text with the content of \text{} in place of it."""
    return re.sub(r"\s+", " ", _TEXT.sub(r" \1 ", text)).strip()


def words(text: str) -> list[str]:
    r"""The words of prose in a text: three letters or more that are neither a command nor a function's name.

    Upper-case runs are points and sides of figures (ABCD), not words.
    """
    found = _WORD.findall(_COMMAND.sub(" ", plain(text)))
    return [word for word in found if word.lower() not in _FUNCTIONS and not (word.isupper() and word.isascii())]
