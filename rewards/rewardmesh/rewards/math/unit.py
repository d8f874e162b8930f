r"""Units: "15\text{ cm}^2" is a number and a unit. A missing unit is forgiven, a wrong one is not."""

from __future__ import annotations

import re

_CURRENCIES = {
    "\\$": "dollar",
    "$": "dollar",
    "€": "euro",
    "£": "pound sterling",
    "¥": "yuan",
    "￥": "yuan",
    "₹": "rupee",
}
_TEXT_UNIT = re.compile(r"^(.*[^\s_^({=,;+*/-])\s*\\text\{([^{}]*)\}(\^\{?[23]\}?)?$")
_BARE_UNIT = re.compile(r"^(.*[\d}%)])\s*?(?:(?<=[\d%]) ?)([^\W\d_][^\d\\{}()=<>,;+*^_]*)(\^[23])?$")
_SI = "mm cm dm km kg mg mL ml ft in yd mi hr min sec mph kmh km/h m/s cm/s g/mL"
# Words that turn "42 ..." into a sentence. Whatever else follows a number counts what there are 42 of.
_SENTENCE = frozenset(
    re.findall(
        r"\S+",
        "is are was were be not isn't wasn't wrong incorrect false no never or and but nor if than then maybe perhaps "
        "possibly instead actually wait vs versus rather except unless least approximately roughly likely probably "
        "isnt arent wasnt werent aint doesnt dont cant cannot mod base equals equal plus minus times divided over "
        "because since so",
    )
)
_MAX_WORDS = 4
_SPELLED_POWER = re.compile(r"(?<=[A-Za-z])\^?-?[1-3](?!\d)|\(e?s\)")  # cm2, s^-1; hour(s)
_NO_UNIT = re.compile(r"[\d()\[\]]|n't\b")  # "42 (not 43)": another number, an aside; "isn't", "can't", ...
_ALIASES = {
    alias: name
    for name, aliases in {
        "hour": "hr h hrs 小时 时", "minute": "min mins 分钟", "second": "sec s secs 秒", "meter": "metre m 米",
        "centimeter": "centimetre cm 厘米 公分", "kilometer": "kilometre km 千米 公里",
        "millimeter": "millimetre mm 毫米",
        "decimeter": "decimetre dm 分米", "foot": "feet ft",
        "inch": "in inche", "yard": "yd", "mile": "mi", "gram": "g 克", "kilogram": "kg kilo 千克 公斤",
        "liter": "litre l 升", "milliliter": "millilitre ml 毫升",
        "pound": "lb", "ounce": "oz", "dollar": "usd 美元", "yuan": "rmb cny 元 块",
        "cent": "¢",
        "day": "d 天", "degree": "deg 度", "week": "wk 周", "year": "yr 年", "radian": "rad", "euro": "eur 欧元",
        "mile/hour": "mph",
        "kilometer/hour": "kmh kph",
    }.items()
    for alias in (name, *aliases.split())
}  # fmt: skip


def split_unit(text: str) -> tuple[str, str]:
    """A canonical text as its value and its unit, the latter normalised; the unit is "" where there is none."""
    minus = "-" if text.startswith("-") else ""  # "-$5"
    for sign, name in _CURRENCIES.items():
        if text.startswith(minus + sign) and len(text) > len(minus + sign):
            return minus + text[len(minus + sign) :].strip(), name
    for pattern in (_TEXT_UNIT, _BARE_UNIT):
        if match := pattern.match(text):
            value, unit, power = match[1].strip(), match[2].strip(), (match[3] or "").strip("^{}")
            if _names_things(unit) and (pattern is _TEXT_UNIT or _long_enough(unit)):
                return value, normal_unit(unit, power)
    return text, ""


def same_unit(reference: str, answer: str) -> bool:
    """Whether the answer's unit may stand for the reference's: only two known units that differ may not."""
    return not (_known(reference) and _known(answer)) or reference == answer


def normal_unit(unit: str, power: str = "") -> str:
    """One name for a unit however it is written: "square centimetres" and "cm" to the power 2 are "centimeter^2"."""
    text = " ".join(unit.replace("-", " ").replace("/", " per ").strip(" .").split())
    if match := re.fullmatch(r"(?:square |sq |平方)(.+)|(.+) squared", text):
        text, power = match[1] or match[2], "2"
    elif match := re.fullmatch(r"(?:cubic |cu |立方)(.+)|(.+) cubed", text):
        text, power = match[1] or match[2], "3"
    parts = [_singular(part.strip(" .")) for part in text.split(" per ")]
    name = "/".join(parts)
    return _ALIASES.get(name, name) + (f"^{power}" if power else "")


def _singular(word: str) -> str:
    lower = word if len(word) == 1 else word.lower()
    for form in (lower, lower.removesuffix("s"), lower.removesuffix("es")):
        if form in _ALIASES:
            return _ALIASES[form]
    return lower.removesuffix("s") if len(lower) > 3 else lower


def _known(unit: str) -> bool:
    names = set(_ALIASES.values()) | set(_CURRENCIES.values())
    return bool(unit) and all(part in names for part in unit.partition("^")[0].split("/"))


def _names_things(unit: str) -> bool:
    unit = unit.replace("’", "'").lower()
    if _NO_UNIT.search(_SPELLED_POWER.sub("", unit)):
        return False
    found = unit.replace("/", " ").split()
    return 0 < len(found) <= _MAX_WORDS and not any(word.strip(".,;:!?") in _SENTENCE for word in found)


def _long_enough(unit: str) -> bool:
    """Bare letters after a number are a product of variables ("4t") unless they are a word or a common abbreviation."""
    return unit in _SI.split() or not unit.isascii() or len(unit.split()[0]) >= 3
