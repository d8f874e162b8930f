"""Finds numerals in text: digits, English words up to the hundreds, Chinese numerals, circled digits."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

# A text with more numerals than this enumerates or repeats itself; reading so many costs a millisecond or two.
MAX_NUMERALS = 256

_ONE_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL_WORDS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth twentieth"
)
_ONES = {word: value for value, word in enumerate(_ONE_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TEN_WORDS.split(), start=2)}
_HAN = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_HAN_UNITS = {"十": 10, "百": 100}

_one = "|".join(sorted(_ONES, key=len, reverse=True))
_digit = "one|two|three|four|five|six|seven|eight|nine"
_below_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{_digit})\b)?|{_one})"
_ordinal = "|".join(_ORDINAL_WORDS.split())
_name = "image|figure|fig|step|option|frame|picture|no|number"
_which = "the|this|that|each|every|another|no|any|which|other|last|left|right"
_have = "is|are|were|was|see|contains?|has|have"
_PATTERN = (
    # a list marker at the start of a line ("2. a cat") is no count; the answer "2." is
    r"(?P<skip>^[ \t]{0,8}\d{1,3}[.)、][ \t]++(?=\S)"
    # names, not counts: image 2, #3, No. 4; and shares: 50%
    rf"|(?:\b(?:{_name})\.?\s?|#|图片?)\d{{1,6}}(?![\w.])|(?<![\d.])\d{{1,9}}(?:\.\d{{1,9}})?\s?%)"
    r"|(?P<ordinal>第[\d一二三四五六七八九十百]{1,8}|\b\d{1,9}(?:st|nd|rd|th)\b"
    rf"|\b(?:{_ordinal})(?: one)?\b)"
    r"|(?P<digits>(?<![A-Za-z0-9_.])[-+]?\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,9})?(?![A-Za-z0-9_])"
    r"|(?<![A-Za-z0-9_.])[-+]?\d{1,12}(?:\.\d{1,9})?(?![A-Za-z0-9_]))"
    r"|(?P<circled>[①-⑳])"
    rf"|\b(?P<dozens>(?:a|{_one})[ -]dozen|dozen)\b"
    # "one" as a pronoun: the one on the left, one of them, no one
    rf"|(?P<pronoun>\b(?:{_which})[ -]one\b"
    r"|\bone(?= (?:of|is|was|has|with|that|which|on|in|at|near|by)\b)"
    r"|(?:其中|另|每|哪|同|这|那|任|某|唯)一|一(?=共|些|起|样|般|定|直|下|边|旁|侧|张图|幅图)|十分|万一|统一)"
    rf"|\b(?P<words>(?:(?:a|{_one})[ -]hundred(?:[ -](?:and[ -])?{_below_100})?|{_below_100}))\b"
    rf"|(?P<han>[{''.join(_HAN)}{''.join(_HAN_UNITS)}]{{1,9}})"
    rf"|(?P<none>\bnone\b|\b(?:{_have}) no\b|^no(?= \w)|没有)"
)
# How all of these begin. Hardly anything in a text does, and that is seen much faster than that none of them is there.
_BEGIN = (
    r"(?:(?=[-+#\d第图①-⑳零〇一二两三四五六七八九十百其另每哪同这那任某唯万统没])|^(?=[ \t])|(?<![a-z])"
    rf"(?=(?:{_name})\.?\s?\d|{_ordinal}|{_one}|{'|'.join(_TENS)}|dozen|a[ -](?:dozen|hundred)|(?:{_which})[ -]one"
    rf"|none|(?:{_have})[ ]no|no[ ]))"
)
# Chinese characters are no part of an English word: in "two到three" words end where Unicode sees no boundary.
_NUMERAL = re.compile(_BEGIN + f"(?:{_PATTERN})".replace(r"\b", r"(?a:\b)"), re.MULTILINE)
# What makes a number a bound, an estimate or the opposite of a claim, before it: "at least", "not", ">", "大约", ...
_BEFORE = re.compile(
    r"(?:(?<![a-z0-9_])(?=[a-z])|(?=[^a-z\s]))"  # as in _BEGIN
    r"(?:(?a:\b)(?:(?:not|minus|less than|fewer than|more than|greater than|at least|at most|up to|about|approximately"
    r"|roughly|nearly|almost|minimum of|maximum of)|\w{1,8}n['’]t)(?: (?:just|only|exactly))?\s{1,3}|(?<![-=<>])[<>]=?"
    r"|!=|[≥≤≠≈~～±]|\\(?:[gl](?:e|eq|eqslant|t)|neq?|approx|sim|pm)"
    r"|不是|并非|至少|至多|最多|最少|超过|多于|少于|大于|小于|不到|不足|不止|大约|大概|约|近|几)\s{0,3}$"
)
# And after it: "4+", "4 or more", "4 million", "4左右". Magnitudes are none of the numerals read here.
_AFTER = re.compile(
    r"\s{0,2}\+(?!\s{0,2}\d)|-ish\b"
    r"|\s{1,3}(?:(?:or|and) (?:more|less|fewer|so|above|below|over|up)\b|at (?:least|most)\b"
    r"|(?:hundred|thousand|million|billion|trillion)\b)|\s?(?:[千万亿几]|[多余](?!边)|左右|上下|以上|以下|以内)"
)
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
_MOST_DIGITS = 12  # of a number without separators
_REACH = 40  # characters before a numeral that are looked at
_MARKUP = re.compile(r"<[^<>]*>|[*_`$({\[（]")  # <b>, **


class Numeral(NamedTuple):
    """A numeral in a text.

    Attributes:
        value: What it says. None where it is no number: "三四个" (three or four), "more than 3", "not 3", "3 million".
        start: Where it begins in the text.
        end: Where it ends, exclusive.
        ordinal: "third", "3rd", "第三": it says which one, not how many, and its value is None.
    """

    value: float | None
    start: int
    end: int
    ordinal: bool = False


def numerals(text: str) -> list[Numeral] | None:
    """The numerals of a text: the ordinals, then the others in order. None if there are more than `MAX_NUMERALS`.

    "one" is left out where it is a pronoun, unless no other count is there; so are "no" and "none" (0).
    """
    if len(text) <= _MOST_DIGITS and text.isdecimal():
        return [Numeral(float(text), 0, len(text))]  # most answers
    ordinals: list[Numeral] = []
    strong: list[Numeral] = []
    weak: list[Numeral] = []
    text = _lower(text)
    matches = list(islice(_NUMERAL.finditer(text), MAX_NUMERALS + 1))
    if len(matches) > MAX_NUMERALS:
        return None
    for match in matches:
        kind = match.lastgroup
        if kind == "ordinal":
            ordinals.append(Numeral(None, *match.span(), ordinal=True))
        elif kind in _VALUES:
            strong.append(Numeral(_exact(text, match, _VALUES[kind](match[0])), *match.span()))
        elif kind == "none":
            weak.append(Numeral(0.0, *match.span()))
        elif kind == "pronoun" and match[0] == "one":
            weak.append(Numeral(1.0, *match.span()))
    return ordinals + (strong or weak[:1])


def _lower(text: str) -> str:
    """The text with every Latin letter small, and every character where it was: some get longer when they get small.

    Patterns of small letters are tried several times faster than patterns that ignore case.
    """
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_SMALL)


def _exact(text: str, match: re.Match[str], value: float | None) -> float | None:
    """The value, or None where what stands beside it makes it a bound, an estimate or something else."""
    start, end = match.span()
    before = text[max(0, start - _REACH) : start]
    if not before.replace(" ", "").isalnum():  # mostly it is words
        before = _MARKUP.sub("", before)
    return None if _BEFORE.search(before) or _AFTER.match(text, end) else value


def english(words: str) -> float:
    """The value of English number words below one thousand: "twenty-one", "a hundred and five"."""
    if words in _ONES:
        return float(_ONES[words])
    total = 0
    for word in words.lower().replace("-", " ").split():
        if word == "hundred":
            total = max(total, 1) * 100
        else:
            total += _ONES.get(word, 0) + _TENS.get(word, 0)  # "a" and "and" add nothing
    return float(total)


def chinese(numeral: str) -> float | None:
    """The value of a Chinese numeral below one thousand; None if it is approximate ("三四") or none at all."""
    total, digit, unit = 0, None, 0
    for han in numeral:
        if han in _HAN_UNITS:
            unit = _HAN_UNITS[han]
            total, digit = total + (1 if digit is None else digit) * unit, None
        elif digit:  # two digits side by side: three or four
            return None
        else:
            digit = _HAN[han]
    if unit == 100 and digit and numeral[-2] == "百":  # 一百五 is 150, 一百零五 is 105
        digit *= 10
    return float(total + (digit or 0))


def _dozens(words: str) -> float:
    return 12.0 * _ONES.get(words.replace("-", " ").split()[0], 1)


_VALUES: dict[str | None, Callable[[str], float | None]] = {
    "digits": lambda digits: float(digits.replace(",", "")),
    "words": english,
    "dozens": _dozens,
    "han": chinese,
    "circled": lambda circled: float(ord(circled) - ord("①") + 1),
}
