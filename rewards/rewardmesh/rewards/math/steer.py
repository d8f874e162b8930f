"""What is steered in math-verify and in latex2sympy beneath it: nothing else here imports either.

Their wrappers are not used. `math_verify.parse` searches prose with regexes that backtrack, and both `parse` and
`verify` set SIGALRM and turn a timeout, or running out of memory, into "unequal": a right answer would depend on the
load of the machine. The limits of the process that runs this are the only ones.

Two internals of latex2sympy are replaced in a subclass, so `PINNED` names the versions for which both are known to
change no parse: ANTLR predicts in SLL mode, six times as fast, and only what that cannot read is read again in LL mode
(a text that SLL accepts has the same tree in both, by construction of ALL(*), Parr et al., OOPSLA 2014, section 6.2);
and integers are built without sympify, which would compile and evaluate each.
"""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any, TypeAlias

from antlr4 import PredictionMode
from latex2sympy2_extended.latex2sympy2 import (
    ConversionConfig,
    NormalizationConfig,
    _Latex2Sympy,  # pyright: ignore[reportPrivateUsage]: the one class that can be told how to parse
    normalize_latex,
)
from math_verify.grader import should_treat_as_complex, sympy_expr_eq, sympy_numeric_eq, sympy_str_eq
from sympy import Basic, Integer, MatrixBase

__all__ = ["FLOAT_ROUNDING", "PINNED", "PRECISION", "Expression", "expression", "related", "same", "warm"]

Expression: TypeAlias = Basic | MatrixBase

PINNED = {
    "math-verify": "0.9.0",
    "latex2sympy2_extended": "1.11.0",
    "antlr4-python3-runtime": "4.13.2",
    "sympy": "1.14.0",
}
# math-verify's defaults: decimals at which floats are compared, digits at which constants are.
FLOAT_ROUNDING = 6
PRECISION = 15
# What math_verify.parse uses, but for the search for boxes, and for units: it drops any \text{} at the end as one.
_NORMAL = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
)
# By default x and X are one symbol; they are two.
_CASED = ConversionConfig(lowercase_symbols=False)
# Kinds of terms, places they stand in, and answers of other kinds, some of them nonsense. Parsing them fills ANTLR's
# tables, which otherwise cost 20 to 50 ms at the first answer of each kind; workers forked afterwards share them.
_TERMS = (
    "2", "-3", "0.5", "x", "-x", "2x", "ab", r"\frac{4}{3}", r"-\frac{1}{3}", r"\frac{\pi}{6}", r"\sqrt{5}",
    r"2\sqrt{3}", r"2\pi", r"\infty", r"-\infty", "a_1", "a_{10}", "x^2", "2x^{3}", "e^{-x}", "10^{2}", "2^{n+1}",
    "n!", "(x-1)", "2(x+1)", r"\theta", r"\sin x", r"\sin(2x)", r"\cos^2 x", r"\tan^2(x)", r"\sin a\cos b",
    r"\log_2 3", r"\ln(x)", "f(x)", r"\sqrt[3]{x}", "|x|", "35cm", r"50\%", r"\frac{x+1}{x^{2}(x-2)}",
    r"\frac{\sqrt{2}+\sqrt{3}}{2}", r"\sqrt{\sqrt{7}-1}", "AB", "(x+2)^2", r"3\cdot 2", r"3\times 10^{4}", "x+y",
)  # fmt: skip
_PLACES = (
    "T", "T+T", "T-1", "1+T", "1-T", "(T,1)", "(1,T]", "[T,1)", "[1,T]", "(T,1,T)", r"\{T,1\}", r"\{1,T\}", "T,1",
    "1,T,2", "x=T", "y=2x+T", "T=0", "T<x", "x<T", r"x\le T", r"1<x\le T", r"x\ge T", r"x\ne T", r"(1,T)\cup(T,2]",
    r"\frac{T}{2}", r"\frac{1}{T}", r"\sqrt{T}", "2^{T}", "(T)^2", r"\begin{pmatrix}T&1\\0&T\end{pmatrix}",
    r"\begin{pmatrix}1\\T\end{pmatrix}", r"\pm T", "x=1,y=T", r"x\in[1,T]", r"x\in\{1,T\}",
)  # fmt: skip
_OTHERS = (
    r"\binom{n}{k}", r"\sum_{k=1}^{n}k^2", r"F_n=\sum_{k=0}^{n}a_{k}b_k", r"\int_0^1 x\,dx", r"\lfloor x\rfloor",
    "f(x)=x^3-2x", r"\emptyset", "1:2", "A:B=1:2", r"45^\circ", "3+4i", "x^2+y^2=25", "x^2/9+y^2/4=1", "2x+3y-4z+5=0",
    "f(2)<f(1)", "x_1=1,x_2=2", r"\mathbb{R}", "|AB|=1", "(x,y)=(1,2)", "(1,2),(3,4)", "(1,2);(3,4)",
    r"(-\infty,1)\cup(1,2)\cup(3,\infty)", r"\frac{-b+\sqrt{b^2-4ac}}{2a}", "(a+b)(c+d)", "1/2", "x/3",
    r"(\begin{pmatrix}1\\2\end{pmatrix})", "D=(0,1)", "y_1=x^2+1,y_2=2x", r"\overline{AB}",
    r"k\pi+\frac{\pi}{4}(k\in\mathbb{Z})", "15_8", "{1,-3}", "{3 cm,4}", "2x+John's", "(a,b,c)=(1,2,3)", "4:30",
    "x=1,2,-3", "It is ABCD", r"\text{or}(2,3)", r"x=-1\text{and}y=2", "1}{2", "XY2Z",
)  # fmt: skip
_USUAL_TERMS = ("1", "-x", r"\frac{2}{3}", r"-\sqrt{2}")


class _Reader(_Latex2Sympy):
    """latex2sympy, faster, with the same results."""

    mode: PredictionMode = PredictionMode.SLL

    def create_parser(self, latex_str: str) -> Any:
        parser = super().create_parser(latex_str)
        parser._interp.predictionMode = self.mode
        return parser

    def parse_number(self, text: str) -> Any:
        digits = text.replace(",", "")
        return Integer(int(digits)) if digits.isascii() and digits.isdigit() else super().parse_number(text)


def expression(text: str) -> Any:
    """The expression a canonical text stands for, or something that is none.

    Raises:
        Exception: It cannot be read.
        MemoryError, RecursionError: A limit was hit.
    """
    latex = normalize_latex(text, _NORMAL)
    reader = _Reader(is_real=not should_treat_as_complex(latex), config=_CASED)
    try:
        return reader.parse(latex)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 (the parser raises bare Exception for a syntax error)
        reader.mode = PredictionMode.LL
        return reader.parse(latex)


def related(reference: Expression, answer: Expression) -> bool:
    """math-verify's comparison for whatever is no scalar; an interval may be answered by inequalities."""
    return sympy_expr_eq(reference, answer, FLOAT_ROUNDING, PRECISION, True)


def same(reference: Expression, answer: Expression) -> bool:
    """What math-verify does with two scalars before it simplifies: the same tree, or the same number."""
    return sympy_str_eq(reference, answer) or sympy_numeric_eq(reference, answer, FLOAT_ROUNDING, PRECISION)


@cache
def warm() -> None:
    """Parses answers of every common kind, so that a process forked from this one parses at full speed at once."""
    placed = [place.replace("T", term) for place in _PLACES for term in _USUAL_TERMS]
    for text in (*_TERMS, *placed, *_OTHERS):
        with contextlib.suppress(Exception):  # nonsense must be refused quickly too
            expression(text)
