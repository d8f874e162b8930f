"""The math reward: what it pays, what it must not pay, and that hostile text costs little."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.contract import FreeReference, InvalidReferenceError, MathReference, Reference, Rollout, Score
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.rewards.base import traits
from rewardmesh.rewards.math.guard import MAX_LENGTH
from rewardmesh.rewards.math.number import Number, read_number
from rewardmesh.rewards.math.reward import MathReward

from .tables import table

GOLDS = [case.values[0]["answers"][0] for case in table("math")]


def judge(completion: str, *answers: str) -> Score:
    rollout = Rollout(id="r", completion=completion, reference=MathReference(answers))
    [outcome] = MathReward().score([rollout])
    assert isinstance(outcome, Score), outcome
    return outcome


@pytest.mark.parametrize("case", table("math"))
def test_case(case: dict[str, Any]) -> None:
    score = judge(case["completion"], *case["answers"])
    assert (score.value, score.reason) == (case["value"], case["reason"]), score


@pytest.mark.parametrize("gold", sorted({gold for gold in GOLDS if gold.count("boxed") < 2}))
def test_reference_is_its_own_answer(gold: str) -> None:
    answer = as_answer(MathReference([gold]))
    assert answer is not None
    assert judge(answer, gold).value == 1.0


def test_span_and_parsed_say_where_the_answer_stands() -> None:
    completion = r"First \boxed{7}. No: it is \boxed{\frac{1}{2}}, I think."
    score = judge(completion, "0.5")
    assert score.span is not None
    assert completion[slice(*score.span)] == score.parsed == r"\frac{1}{2}"


@pytest.mark.parametrize("gold", ["", "$$", r"\frac{1}{", "5/0", r"\frac{0}{0}", "9^{9^9}", "x" * (MAX_LENGTH + 1)])
def test_reference_that_makes_no_sense_is_not_the_policys_fault(gold: str) -> None:
    [outcome] = MathReward().score([Rollout(id="r", completion=r"\boxed{5}", reference=MathReference([gold]))])
    assert isinstance(outcome, InvalidReferenceError)
    assert repr(gold)[:40] in str(outcome)


@pytest.mark.parametrize("reference", [None, FreeReference("other", {}), MathReference([])])
def test_reference_of_another_kind_is_invalid_and_spares_its_neighbours(reference: Reference | None) -> None:
    right = Rollout(id="a", completion=r"\boxed{5}", reference=MathReference(["5"]))
    wrong = Rollout(id="b", completion=r"\boxed{5}", reference=reference)
    first, second, third = MathReward().score([right, wrong, right])
    assert isinstance(second, InvalidReferenceError)
    assert isinstance(first, Score)
    assert first == third
    assert first.value == 1.0


def test_its_example_is_right() -> None:
    example = traits(MathReward).example
    assert example is not None
    [outcome] = MathReward().score([example])
    assert isinstance(outcome, Score)
    assert (outcome.value, outcome.reason) == (1.0, "symbolic_eq")


@given(st.fractions(), st.fractions())
def test_fractions_are_equal_exactly_when_they_are(a: Fraction, b: Fraction) -> None:
    expected = 1.0 if a == b else 0.0
    assert (
        judge(rf"\boxed{{\frac{{{b.numerator}}}{{{b.denominator}}}}}", f"{a.numerator}/{a.denominator}").value
        == expected
    )


@given(st.integers(-(10**15), 10**15), st.integers(0, 5))
def test_decimals_are_read_exactly(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    whole, rest = divmod(abs(digits), 10**places)
    text = f"{'-' if digits < 0 else ''}{whole:,}" + (f".{rest:0{places}d}" if places else "")
    number = read_number(text)
    assert number is not None
    assert number.value == value
    assert not number.equals(Number(value + 1))


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=r"\{}()[]$=,.0123x+-*/^_ ab!或", max_size=60))
def test_no_text_of_a_policy_breaks_the_reward(text: str) -> None:
    for completion in (text, rf"\boxed{{{text}}}", f"The answer is {text}"):
        assert judge(completion, r"x^2+\frac{1}{3}").value in (0.0, 1.0)


HOSTILE = [
    r"\boxed{}. ",
    r"\boxed{1}. ",
    r"\boxed{",
    r"\boxed{1}\;\;",
    "<answer>1</answer>",
    "<answer>",
    "The answer is ",
    "$ $",
    " ",
    "\n",
    r"\text{",
    "\\",
    "9^",
    "1,",
    "A: ",
]
# 45 texts of 256 KiB take a few seconds; one quadratic loop takes minutes.
CPU_SECONDS = 30
PROGRAM = """
from rewardmesh.contract import MathReference, Rollout
from rewardmesh.rewards.math.reward import MathReward
for piece in {pieces!r}:
    for before, after in (("", ""), ("A: 5", "z"), ("<answer>5", "</answer>")):
        text = before + piece * (262144 // len(piece)) + after
        MathReward().score([Rollout(id="r", completion=text, reference=MathReference(["5"]))])
"""


def test_long_hostile_completions_cost_linear_time() -> None:
    """In a process that the kernel ends when it uses far more CPU than it should: no clock decides."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(pieces=HOSTILE)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_running_out_of_stack_is_left_to_the_worker() -> None:
    program = """
import sys
from rewardmesh.contract import MathReference, Rollout
from rewardmesh.rewards.math.reward import MathReward
reference = MathReference(["f(x)+1"])
assert MathReward().score([Rollout(id="a", completion="\\\\boxed{1+f(x)}", reference=reference)])[0].value == 1.0
sys.setrecursionlimit(60)
try:
    MathReward().score([Rollout(id="b", completion="\\\\boxed{((((1+(f(x))))))}", reference=reference)])
except RecursionError:
    print("left")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "left\n", done.stderr[-2000:]


def test_it_sets_no_alarm_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    import signal

    before = signal.getsignal(signal.SIGALRM)
    with caplog.at_level(logging.DEBUG):
        judge(r"\boxed{2\pi r}", r"r\pi 2")
    assert signal.getsignal(signal.SIGALRM) == before
    assert not caplog.records


def test_its_key_is_the_reference_and_the_canonical_answer() -> None:
    def key(completion: str, *answers: str) -> object:
        return MathReward().key(Rollout(id="r", completion=completion, reference=MathReference(answers)))

    assert key(r"\boxed{\dfrac12}", "0.5") == key(r"So it is $\boxed{\frac{1}{2}}$.", "0.5") is not None
    assert key(r"\boxed{1}", "0.5") != key(r"\boxed{2}", "0.5")
    assert key(r"\boxed{1}", "0.5") != key(r"\boxed{1}", "0.6")
    assert key("", "0.5") is None
    assert key(rf"\boxed{{{'1' * (MAX_LENGTH + 1)}}}", "0.5") is None


@pytest.mark.parametrize(("answer", "reference"), [("41+1", "42"), (r"\sqrt{49}", "7"), ("2^3", "8")])
def test_what_is_not_evaluated_is_paid_only_where_nothing_must_be(answer: str, reference: str) -> None:
    rollout = Rollout(id="r", completion=rf"\boxed{{{answer}}}", reference=MathReference([reference]))
    for require_simplified, value in (("number", 0.0), ("nothing", 1.0)):
        [outcome] = MathReward(require_simplified).score([rollout])
        assert isinstance(outcome, Score)
        assert outcome.value == value


def test_the_readme_shows_the_policy_as_it_is() -> None:
    table = [line.strip() for line in (MathReward.__doc__ or "").splitlines() if line.strip().startswith("|")]
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert len(table) > 15
    assert "\n".join(table) in readme


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="require_simplified"):
        MathReward("everything")  # pyright: ignore[reportArgumentType]
