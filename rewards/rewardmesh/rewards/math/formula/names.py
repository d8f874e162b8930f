"""What names and commands mean in a scalar formula."""

from __future__ import annotations

import re

__all__ = [
    "AVOIDED",
    "BETWEEN",
    "DIVIDED",
    "FUNCTIONS",
    "GREEK",
    "RESERVED",
    "SAFE",
    "SERIES",
    "SUFFIXES",
    "TIMES",
    "UNCLEAR",
]

# Commas that group thousands, and words: latex2sympy reads some as functions, the rest is prose.
AVOIDED = re.compile(
    r",|(?<![A-Za-z])(?:(?![abcxyz]{3}(?![A-Za-z]))[A-Za-z]{3,}|(?:ln|lg|pi|tg|d[a-z]|or|in|if|is)(?![A-Za-z]))"
)
# No words, however long.
SAFE = re.compile(r"\\[A-Za-z]+|_\{[A-Z0-9]+\}")
GREEK = frozenset(
    rf"\{name}"
    for name in re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi varphi chi psi omega "
        "Delta Gamma Theta Lambda Sigma Phi Psi Omega",
    )
)
FUNCTIONS = {
    r"\sin": "sin", r"\cos": "cos", r"\tan": "tan", r"\cot": "cot", r"\sec": "sec", r"\csc": "csc",
    r"\arcsin": "asin", r"\arccos": "acos", r"\arctan": "atan", r"\exp": "exp", r"\ln": "log",
}  # fmt: skip
TIMES = (r"\cdot", r"\times", "*")
DIVIDED = ("/", ":", r"\div")
BETWEEN = (*TIMES, *DIVIDED, r"\}")  # commands that begin no factor
SUFFIXES = ("^", "!")
# Behind "\sin 2x" they may belong to its argument, or not.
UNCLEAR = (*SUFFIXES, "(", "[", "|", r"\frac", r"\sqrt", "/")
SERIES = (r"\sum", r"\prod")
# Names that are no variables to latex2sympy.
RESERVED = ("I",)
