"""Fast ways never disagree with slow ones: thousands of generated pairs, decided by both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from fractions import Fraction

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sympy import simplify

from rewardmesh.contract import MathReference, Rollout
from rewardmesh.rewards.answer import after_thinking, boxed, side_by_side
from rewardmesh.rewards.math import compare, extract
from rewardmesh.rewards.math.compare import UnparsableError, parse
from rewardmesh.rewards.math.estimate import differ
from rewardmesh.rewards.math.latex import _SPELT, _canonical, canonical
from rewardmesh.rewards.math.number import read_number
from rewardmesh.rewards.math.reward import MathReward
from rewardmesh.rewards.math.steer import same

many = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

_integers = st.integers(-40, 40).map(str)
_numbers = st.one_of(
    _integers,
    st.builds(lambda a, b: f"{a}.{b}", st.integers(-30, 30), st.integers(0, 99)),
    st.builds(lambda a, b: rf"\frac{{{a}}}{{{b}}}", st.integers(-12, 12), st.integers(1, 12)),
    st.builds(lambda a, b: f"{a}/{b}", st.integers(0, 12), st.integers(1, 12)),
)
_leaves = st.one_of(_integers, st.sampled_from(["x", "y", r"\pi", r"\sqrt{2}", r"\sqrt{x}", "x^2"]))


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, inner)
    shapes: list[Callable[[tuple[str, str]], str]] = [
        lambda p: f"({p[0]})+({p[1]})",
        lambda p: f"({p[0]})-({p[1]})",
        lambda p: rf"({p[0]})\cdot({p[1]})",
        lambda p: rf"\frac{{{p[0]}}}{{{p[1]}}}",
        lambda p: f"({p[0]})^2",
        lambda p: rf"\sin({p[0]})",
        lambda p: rf"\sqrt{{({p[0]})^2}}",
    ]
    return st.one_of([pairs.map(shape) for shape in shapes])


_formulas = st.recursive(_leaves, _larger, max_leaves=5)


@many
@given(_numbers, _numbers)
def test_exact_numbers_agree_with_sympy(a: str, b: str) -> None:
    first, second = read_number(a), read_number(b)
    assert first is not None
    assert second is not None
    if first.decimals is None and second.decimals is None:
        assert first.equals(second) == compare.equal(parse(a), parse(b))


@some
@given(_formulas, _formulas)
def test_what_is_refuted_numerically_is_not_equal(a: str, b: str) -> None:
    try:
        first, second = parse(a), parse(b)
    except UnparsableError:
        assume(False)
        return
    if differ(first, second):
        with contextlib.suppress(ArithmeticError):  # what sympy cannot compare is not equal either
            assert not same(first, second)
            assert simplify((first - second).doit()).is_zero is not True  # evaluated first: see below


@some
@given(_formulas)
def test_what_is_equal_is_never_refuted(a: str) -> None:
    try:
        first = parse(a)
        # evaluated first: of sin(pi*pi), left unevaluated, sympy 1.14 makes 0
        evaluated = first.doit()
        others = [evaluated, evaluated.expand(), simplify(evaluated)]
    except (UnparsableError, ArithmeticError):  # sympy itself divides by zero in some
        return
    for other in others:
        assert not differ(first, other), other


@many
@given(st.from_regex(_SPELT, fullmatch=True))
def test_what_is_spelt_canonically_is_its_own_canonical_text(text: str) -> None:
    text = text.strip()
    assert canonical(text) == _canonical.__wrapped__(text) == text


_pieces = st.sampled_from(
    [r"\boxed{", r"\fbox{", r"\boxed {", "}", "{", "\\", r"\{", "1", "2", " or ", ", ", "so we see that ", "</think>"]
)


@many
@given(st.lists(_pieces, max_size=12).map("".join))
def test_a_lone_box_is_what_the_general_way_finds(text: str) -> None:
    rest = after_thinking(text)
    if rest is None:
        return
    alone = extract._lone_box(text, rest)
    if alone is not None:
        last = boxed(rest)
        assert last == alone
        assert side_by_side(text, boxed, last) == (alone,)


@some
@given(st.fractions(max_denominator=50), st.fractions(max_denominator=50), st.booleans())
def test_a_score_is_the_same_in_any_batch(a: Fraction, b: Fraction, first: bool) -> None:
    pair = [
        Rollout(id=str(value), completion=rf"\boxed{{{value}}}", reference=MathReference([str(a)])) for value in (a, b)
    ]
    batch = [*pair, *pair] if first else [*reversed(pair), *pair]
    together = MathReward().score(batch)
    assert together == [MathReward().score([rollout])[0] for rollout in batch]


_linear = st.builds(lambda a, b, c: (a, b, c), *[st.integers(-6, 6).filter(bool)] * 3)


@some
@given(_linear, _linear, st.integers(-4, 4).filter(bool))
def test_rearranged_equations_agree_with_math_verify(a: tuple[int, ...], b: tuple[int, ...], k: int) -> None:
    first, other = (parse(f"{x}x+{y}y={z}") for x, y, z in (a, b))
    multiple = parse(f"{k * a[0]}x-{k * a[2]}={-k * a[1]}y")
    assert compare._rearranged(first, multiple)
    assert compare._rearranged(first, other) == any(
        all(p * b[i] == q * a[i] for i in range(3)) for p, q in [(a[0], b[0])]
    )
