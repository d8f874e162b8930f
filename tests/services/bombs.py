"""A hundred answers that cost more than answers may, if nobody looks before computing."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable

from rewardmesh.contract import MathReference, Rollout

_REFERENCES = {
    "number": "42",
    "symbols": "x^2+1",
    "tuple": "(1,2)",
    "set": r"\{1,2,3\}",
    "equation": "y=2x+1",
}


def _each(form: str, numbers: Iterable[int], between: str = "+") -> str:
    return between.join(form.replace("I", str(i)) for i in numbers)


def _nest(opening: str, closing: str, depth: int, core: str = "x") -> str:
    return opening * depth + core + closing * depth


def _matrix(size: int, entry: Callable[[int, int], str], kind: str = "pmatrix") -> str:
    rows = (r"&".join(entry(i, j) for j in range(size)) for i in range(size))
    return rf"\begin{{{kind}}}" + r"\\".join(rows) + rf"\end{{{kind}}}"


def _letter(i: int, j: int) -> str:
    return string.ascii_lowercase[(5 * i + j) % 24]


# What is in the box, by the kind of the reference that it meets.
_BOXED: dict[str, dict[str, str]] = {
    "number": {
        "tower": "9^{9^{9}}",
        "spaced tower": "9 ^ {9 ^ 9}",
        "tower below": "2^{-9^{9^9}}",
        "powers of powers": "((2^{999})^{999})^{999}",
        "factorial": "1000000!",
        "factorial in parentheses": "(10^7)!",
        "double factorial": "99999!!",
        "factorial of a factorial": "((10!)!)",
        "binomial": r"\binom{10^9}{500000000}",
        "choose": r"{1000000 \choose 500000}",
        "C": "C_{100000}^{50000}",
        "Gamma": r"\Gamma(10^8)",
        "eye": r"\operatorname{eye}(20000)",
        "zeros": r"\operatorname{zeros}(20000)",
        "hilbert": r"\operatorname{hilbert}(500)",
        "eye in roman": r"\mathrm{eye}(20000)",
        "zeros in text": r"\text{zeros}(20000)",
        "sum": r"\sum_{k=1}^{10^9}\frac{1}{k}",
        "sum of powers": r"\sum_{k=1}^{1000}\frac{1}{k^{99}}",
        "product": r"\prod_{k=1}^{99}\prod_{j=1}^{99}(k+j)",
        "sine": r"\sin(10^{9999})",
        "floor": r"\lfloor \pi^{9999}\rfloor",
        "floor of a tower": r"\lfloor e^{e^{e^{9}}}\rfloor",
        "remainder": r"7^{9999}\pmod{13}",
        "greatest common divisor": r"\gcd(2^{9999}-1,2^{9998}-1)",
        "digits": "7" * 500,
        "quotient of digits": rf"\frac{{{'7' * 240}}}{{{'3' * 240}}}",
        "nested sets": _nest(r"\{", r"\}", 18, "1"),
        "matrix exponential": "e^{" + _matrix(4, _letter) + "}",
    },
    "symbols": {
        "tower of letters": "x^{x^{x^{x^{9}}}}",
        "60x60": _matrix(60, lambda i, j: str(i * j + 1)),
        "9x9 determinant": _matrix(9, lambda i, j: f"{string.ascii_lowercase[i]}_{j}", "vmatrix"),
        "5x5 determinant": _matrix(5, _letter, "vmatrix"),
        "power of a determinant": r"\det" + _matrix(3, _letter) + "^{9}",
        "inverse": _matrix(5, _letter) + "^{-1}",
        "parentheses": _nest("(", ")", 3000),
        "parentheses, a few": _nest("(", ")", 19),
        "roots": _nest(r"\sqrt{1+", "}", 19),
        "fractions": _nest(r"\frac{1}{1+", "}", 19),
        "radicals": _nest(r"\sqrt{x+", "}", 15, "1"),
        "continued fraction": _nest(r"x+\frac{1}{", "}", 15),
        "sines": _nest(r"\sin(", ")", 18),
        "bars": _nest("|", "|", 100),
        "squares": _nest("(", "^2+1)", 12),
        "logarithms": _nest(r"\ln(1+", ")", 18),
        "brackets": "([{" * 160 + "x",
        "polynomial of four": "(x+y+z+w)^{200}",
        "polynomial": "(x+y+z+w)^{30}",
        "quotient of polynomials": r"\frac{(x+y+z)^{40}-1}{(x-y)^{40}}",
        "product of sums": _each("(x+I)", range(1, 60), ""),
        "indefinite integral": r"\int\frac{\sqrt{1+x^3}\sin x}{x^5+x+1}\,dx",
        "rational integral": r"\int\frac{1}{x^7+x+1}\,dx",
        "limit": r"\lim_{x\to 0}\frac{\sin(\tan x)-\tan(\sin x)}{\arcsin(\arctan x)-\arctan(\arcsin x)}",
        "derivative": r"\frac{d}{dx}(x^{x^{x^{x}}}\sin(x^x))",
        "sine of a multiple": r"\sin(999x)",
        "cases": r"\begin{cases}" + _each("x^I&x>I", range(12), r"\\") + r"\end{cases}",
    },
    "tuple": {
        "tuple": "(" + _each("x^{I}", range(60), ",") + ")",
        "infinite sum": r"\sum_{k=1}^{\infty}\frac{\sin(k^2)}{k^3}",
        "root of a power": r"\sqrt[3]{2^{9999}+1}",
        "intersection": _each("(x_I,y_I)", range(12), r"\cap "),
        "definite integral": r"\int_0^1\sin(x^x)e^{x^3}\,dx",
        "triple integral": r"\int_0^1\int_0^1\int_0^1\frac{1}{1-xyz}\,dx\,dy\,dz",
        "limit at infinity": r"\lim_{n\to\infty}\frac{n!}{n^n e^{-n}\sqrt{n}}",
        "powers of i": "i^{i^{i^{i^i}}}",
    },
    "set": {
        "set of thousands": r"\{" + _each("I", range(3000), ",") + r"\}",
        "set of roots": r"\{" + _each(r"\sqrt{I}", range(2, 50), ",") + r"\}",
        "union": _each(r"(I,I.5)", range(40), r"\cup "),
        "union of letters": _each("(a_I,b_I)", range(25), r"\cup "),
    },
    "equation": {
        "large polynomial": "(x+y)^{9999}",
        "expansion": "(x+y+z)^{60}=(a+b)^{60}",
        "trigonometry": r"\sin(x^2)+\cos(y^3)=\tan(x y)+\ln(x+y)",
        "radicals to solve": r"\sqrt{x+1}+\sqrt{x+2}+\sqrt{x+3}=\sqrt[3]{y}",
        "quintic": "x^5+y^7=x^3y^2+1",
        "powers to solve": "x^{999}+y^{998}=1",
        "exponentials to solve": r"2^x+3^x+5^y=7^{x y}",
        "factorials to solve": "x!+y!=z^3",
        "roots of primes": _each(r"\sqrt{I}", (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)),
        "product of roots": _each(r"(1+\sqrt{I})", (2, 3, 5, 7, 11, 13, 17, 19, 23, 29), ""),
        "cosines": _each(r"\cos(\frac{I\pi}{97})", range(1, 20)),
        "tangent of a sum": r"\tan(" + _each("x_I", range(9)) + ")",
        "logarithms of primes": _each(r"\log_{I}(x)", (2, 3, 5, 7, 11, 13, 17, 19, 23)),
    },
}
# Completions that cost those who search them for an answer.
_TEXTS = {
    "empty boxes": r"\boxed{}. " * 4000,
    "nested boxes": r"\boxed{" * 3000,
    "many boxes": _each(r"\boxed{I}", range(10_000), ", "),
    "opening braces": r"\boxed{" + "{" * 50_000,
    "closing braces": r"\boxed{" + "}" * 100_000,
    "long answer": r"\boxed{" + "x+" * 100_000 + "1}",
    "long prose": "the answer is " * 15_000,
    "spaces": "The answer is" + " " * 200_000 + "x",
    "dollars": "$" * 200_000,
    "digits of a text": "9" * 200_000,
    "lines": "\n" * 200_000 + "A:",
    "thoughts": "<think>" * 30_000,
    "answers": "<answer>" * 25_000 + "1",
    "asides": r"\boxed{" + ". " * 100_000 + "}",
    "backslashes": r"\boxed{" + "\\" * 100_000 + "}",
    "text commands": r"\text{" * 30_000,
    "subscripts": r"\boxed{" + "x_" * 250 + "}",
    "signs": r"\boxed{" + "-" * 500 + "1}",
    "left parentheses": r"\boxed{" + r"\left(" * 80 + "}",
}


def bombs() -> list[Rollout]:
    """The hundred; none is right."""
    found = [
        Rollout(f"{name}, {kind}", f"So it is \\boxed{{{answer}}}.", reference=MathReference([_REFERENCES[kind]]))
        for kind, answers in _BOXED.items()
        for name, answer in answers.items()
    ]
    return found + [Rollout(name, text, reference=MathReference(["42"])) for name, text in _TEXTS.items()]
