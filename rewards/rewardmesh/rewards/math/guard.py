"""What must not reach the parser or sympy, found by looking at it.

Not a proof: processes with CPU and memory limits stand behind it. It saves a process per common bomb.
"""

from __future__ import annotations

import re
from typing import Literal

# Longer than any answer in the public data sets; parsing costs grow with the square.
MAX_LENGTH = 512
# The parser's time doubles every few levels (60 take half a minute); real answers have fewer than ten.
MAX_DEPTH = 20
# Comparing sets and matrices costs the square of their size and worse.
_MAX_ELEMENTS = 64
_MAX_ENTRIES = 25
# 2^2024 is an answer, 9^(9^9) a bomb. Powers of powers multiply, hence the second bound.
_MAX_EXPONENT = 10_000
_MAX_EXPONENT_PRODUCT = 1_000_000
# The operators that turn a small literal into a large computation, and the largest literal they may meet.
_COSTLY = re.compile(r"!|\\d?t?binom|\\(?:sum|prod|Gamma|int|i+nt|oint|lim)(?![a-z])|\\choose|_\w*C_|_\w*P_")
_MAX_COSTLY = 4
_MAX_LITERAL = 1000
_NAMED = re.compile(r"\\operatorname\s*\*?\s*\{?\s*([A-Za-z]*)")
# Unlike eye, zeros, rref, eigenvects and the parser's other names for matrix algebra.
_HARMLESS = frozenset(("sin", "cos", "tan", "cot", "arcsin", "arccos", "arctan", "ln", "gcd", "lcm", "max", "min"))
_LITERAL = re.compile(r"\d+")
_EXPONENT = re.compile(r"\^\s*(?:[{(]*\s*[+-]?\s*(\d+))")
_TOWER = re.compile(r"\^\s*\w\s*\^|\^[{(][^{}()]*[\d)}]\s*\^\s*[{(]*\s*[-+]?\d|!\s*!|[)}]\s*!.*!|\^.*[)}]\s*!")
_DETERMINANT = re.compile(r"\\det|[vV]matrix")

Objection = Literal["too_long", "forbidden_op"]


def objection(text: str) -> Objection | None:
    """Why a canonical text must not be parsed, or None if it may."""
    if len(text) > MAX_LENGTH:
        return "too_long"
    if _depth(text) > MAX_DEPTH or text.count(",") + text.count(";") > _MAX_ELEMENTS:
        return "forbidden_op"
    if _too_big_a_matrix(text) or _too_big_a_power(text) or _too_costly(text):
        return "forbidden_op"
    return "forbidden_op" if any(name not in _HARMLESS for name in _NAMED.findall(text)) else None


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "({[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")}]":
            depth -= 1
    return deepest


def _too_big_a_matrix(text: str) -> bool:
    entries = text.count("&") + text.count(r"\\")
    return entries > _MAX_ENTRIES or bool(entries > 9 and _DETERMINANT.search(text))


def _too_big_a_power(text: str) -> bool:
    if _TOWER.search(text):
        return True
    product = 1
    for digits in _EXPONENT.findall(text):
        exponent = int(digits)
        product *= max(exponent, 1)
        if exponent > _MAX_EXPONENT or product > _MAX_EXPONENT_PRODUCT:
            return True
    return False


def _too_costly(text: str) -> bool:
    costly = len(_COSTLY.findall(text))
    return costly > _MAX_COSTLY or bool(costly and any(int(n) > _MAX_LITERAL for n in _LITERAL.findall(text)))
