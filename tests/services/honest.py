"""Math rollouts without end, hardly two the same, and what each is worth."""

from __future__ import annotations

import random

from rewardmesh.contract import MathReference, Rollout

# A reference and an answer that equals it for the same A, B, C and X, and for no other A.
_FORMS = (
    (r"\frac{A}{B}X^2+C", r"C+\frac{AX^2}{B}"),
    (r"\sqrt{A}+BX", r"BX+\sqrt{A}"),
    (r"(X+A)(X-B)", r"X^2+AX-BX-A\cdot B"),
    (r"\sin(AX)+B", r"B+\sin(A X)"),
    (r"y=AX+B", r"AX-y=-B"),
    (r"\{A,B,\frac{C}{7}\}", r"\{\frac{C}{7},B,A\}"),
    (r"(\frac{A}{B},\sqrt{C})", r"(\frac{A}{B}, \sqrt{C})"),
    (r"[A,\infty)", r"X\ge A"),
    (r"\begin{pmatrix}A&B\\C&X\end{pmatrix}", r"\begin{pmatrix}A & B \\ C & 1X\end{pmatrix}"),
    (r"\frac{X_1+B}{A}", r"\frac{B+X_1}{A}"),
    (r"\log_{B}(A)+X", r"X+\log_{B}{A}"),
    (r"\frac{A\pi}{B}", r"\frac{A}{B}\pi"),
    (r"A", r"A.0"),
    (r"\frac{A}{B}", r"A/B"),
)
_LETTERS = "bcdhkmnpqrstuvxz"


def honest(number: int) -> tuple[Rollout, float]:
    """The rollout of this number, and its score."""
    chance = random.Random(number)
    reference, answer = _FORMS[number % len(_FORMS)]
    numbers = {"A": chance.randint(2, 9999), "B": chance.randint(2, 999), "C": chance.randint(2, 9999)}
    values = {name: str(value) for name, value in numbers.items()} | {"X": chance.choice(_LETTERS)}
    wrong = chance.random() < 0.3
    said = values | {"A": str(numbers["A"] + 1)} if wrong else values
    completion = f"Let us see. So we have $\\boxed{{{_filled(answer, said)}}}$."
    rollout = Rollout(f"honest {number}", completion, reference=MathReference([_filled(reference, values)]))
    return rollout, float(not wrong)


def _filled(form: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        form = form.replace(name, value)
    return form
