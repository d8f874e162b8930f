"""What is steered inside math-verify and latex2sympy changes no parse, in the versions it was tried with."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest
from antlr4 import PredictionMode
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy, latex2sympy
from sympy import Integer

import rewardmesh.rewards.math.steer as steer

TEXTS = [
    r"\frac{1}{2}", "3.5", "007", "1,024", r"2\pi r^2", r"\sqrt{x^2+1}-\sqrt[3]{5}", "2^{n+1}-1", "(1,2]",
    r"\{1,-2,3\}",
    r"(-\infty,3)\cup[5,\infty)", "x=5", "x^2+y^2=25", r"-2\le x<7", r"\begin{pmatrix}1&2\\3&-4\end{pmatrix}", r"50\%",
    r"\log_2 3+\ln x", r"\sin(2\theta)+\cos^2 x", "3+4i", "n!", r"\binom{n}{k}", r"\sum_{k=1}^{n}k^2", "|x-1|", "0.10",
    "x_1=1,x_2=2", "1:2", r"\frac{x+1}{(x-1)(x+2)}", r"\int_0^1 x\,dx", r"x\in[-2,7]", "12345678901234567890", "X+x",
]  # fmt: skip


@pytest.mark.parametrize("package", sorted(steer.PINNED))
def test_the_version_is_the_one_that_was_steered(package: str) -> None:
    assert version(package) == steer.PINNED[package], "read its changes, run this file, then pin the new version"


@pytest.mark.parametrize("text", TEXTS)
def test_reading_is_latex2sympys_own(text: str) -> None:
    latex = steer.normalize_latex(text, steer._NORMAL)
    plain = latex2sympy(
        latex,
        is_real=not steer.should_treat_as_complex(latex),
        normalization_config=None,
        conversion_config=ConversionConfig(lowercase_symbols=False),
    )
    read = steer.expression(text)
    assert type(read) is type(plain)
    assert repr(read) == repr(plain)


def test_the_parser_does_predict_in_sll_mode_and_integers_are_not_sympified() -> None:
    reader = steer._Reader(is_real=True)
    assert reader.create_parser("x")._interp.predictionMode == PredictionMode.SLL
    assert _Latex2Sympy(is_real=True).create_parser("x")._interp.predictionMode == PredictionMode.LL
    assert reader.parse_number("0042") == Integer(42)


def test_what_sll_cannot_read_is_read_again() -> None:
    text = "x_1=1,x_2=2"
    reader = steer._Reader(is_real=True, config=steer._CASED)
    with pytest.raises(Exception, match=r"."):
        reader.parse(text)
    assert len(steer.expression(text)) == 2


def test_no_other_module_of_the_reward_imports_what_is_steered() -> None:
    folder = Path(steer.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            steered = [n for n in names if n.split(".")[0] in ("math_verify", "latex2sympy2_extended", "antlr4")]
            assert path.name == "steer.py" or not steered, (path.name, steered)
