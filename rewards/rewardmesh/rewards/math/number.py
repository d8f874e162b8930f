"""Plain numbers, read exactly: no floats, no sympy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# 10^400 is far above any answer and still costs nothing to build.
_MAX_EXPONENT = 400
# The fewest decimals, and significant digits, at which a decimal may stand for a number that has no finite one.
_ENOUGH_DIGITS = 6
_DECIMAL = r"(?:[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+)|\d+)(?:\.\d+)?|\.\d+"
_EXPONENT = r"10\^(?:\{([+-]?\d{1,4})\}|(\d))"
_SCIENTIFIC = re.compile(rf"({_DECIMAL})(?:(?:\\times|\\cdot|\*) ?{_EXPONENT}|[eE]([+-]?\d{{1,4}}))?")
_SPELT = re.compile(r"-?\d{1,400}(?:\.\d{1,400})?", re.ASCII)
_POWER_OF_TEN = re.compile(_EXPONENT)
_FRACTION = re.compile(rf"(\d*) ?\\frac\{{(-?)({_DECIMAL})\}}\{{(-?)({_DECIMAL})\}}")
_SLASH = re.compile(rf"(?:(\d+) )?({_DECIMAL})/({_DECIMAL})")


@dataclass(frozen=True, slots=True)
class Number:
    """A plain number.

    Attributes:
        value: Its exact value; for a percentage the number before the sign.
        decimals: Digits after the decimal point where it was written as a decimal, else None.
        percent: Whether a percent sign followed.
    """

    value: Fraction
    decimals: int | None = None
    percent: bool = False

    def equals(self, answer: Number) -> bool:
        """Whether an answer may stand for this number, the reference.

        Where the reference is written with d decimals, an answer within half a unit of its last place may, if it is
        exact or written with d decimals or more. Any other reference is exact; what has no finite decimal is also
        equalled by its correct rounding to six digits or more. "n%" is n hundredths.
        """
        a, b = self._plain(), answer._plain()
        if a.value == b.value:
            return True
        if a.decimals is None:
            return b.decimals is not None and _rounding(a.value, b.value, b.decimals)
        return (b.decimals is None or b.decimals >= a.decimals) and abs(a.value - b.value) <= self.tolerance

    @property
    def tolerance(self) -> Fraction:
        """Half a unit of the last place of a decimal; 0 for what is exact."""
        decimals = self._plain().decimals
        return Fraction(0) if decimals is None else Fraction(1, 2) / Fraction(10) ** decimals

    @property
    def exact(self) -> Fraction:
        """The number it stands for, percent sign and all."""
        return self._plain().value

    def _plain(self) -> Number:
        if not self.percent:
            return self
        return Number(self.value / 100, None if self.decimals is None else self.decimals + 2)


def is_spelt_number(text: str) -> bool:
    """Whether a text is nothing but a decimal as a calculator prints it."""
    return _SPELT.fullmatch(text) is not None


def read_number(text: str) -> Number | None:
    """The number a canonical text is, or None if it is anything else (or divides by zero)."""
    if text.isdigit() and text.isascii() and len(text) <= _MAX_EXPONENT:
        return Number(Fraction(int(text)))  # most answers
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    percent = text.endswith("%")
    text = text.removesuffix("%").strip()
    sign = -1 if text.startswith("-") else 1
    text = text[1:].strip() if text.startswith(("-", "+")) else text
    found = _read_decimal(text) or _read_fraction(text)
    return None if found is None else Number(sign * found.value, found.decimals, percent)


def _read_decimal(text: str) -> Number | None:
    if match := _POWER_OF_TEN.fullmatch(text):
        mantissa, exponent = "1", match[1] or match[2]
    elif match := _SCIENTIFIC.fullmatch(text):
        mantissa, exponent = match[1], match[2] or match[3] or match[4] or "0"
    else:
        return None
    power = int(exponent)
    if abs(power) > _MAX_EXPONENT:
        return None
    decimals = len(mantissa.partition(".")[2]) - power if "." in mantissa else None
    value = _fraction(mantissa)
    return Number(value * Fraction(10) ** power if power else value, decimals)


def _read_fraction(text: str) -> Number | None:
    if match := _FRACTION.fullmatch(text):
        whole, top_sign, top, bottom_sign, bottom = match.groups()
        sign = -1 if top_sign != bottom_sign else 1
    elif match := _SLASH.fullmatch(text):
        whole, top, bottom = match.groups()
        sign = 1
    else:
        return None
    if not (divisor := _fraction(bottom)) or (whole and sign < 0):
        return None
    return Number(_fraction(whole or "0") + sign * _fraction(top) / divisor)


def _fraction(text: str) -> Fraction:
    whole, _, decimals = text.replace(",", "").replace(" ", "").partition(".")
    return Fraction(int(whole + decimals), 10 ** len(decimals)) if decimals else Fraction(int(whole))


def _rounding(value: Fraction, decimal: Fraction, decimals: int) -> bool:
    if decimals < _ENOUGH_DIGITS or min(abs(value), abs(decimal)) * 10**decimals < 10 ** (_ENOUGH_DIGITS - 1):
        return False
    return round(value, decimals) == decimal
