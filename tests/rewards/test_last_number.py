"""The last number as an answer, where a data set's configuration asks for it."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import MathReference, Rollout, Score
from rewardmesh.rewards.math.extract import answers
from rewardmesh.rewards.math.reward import MathReward

from .tables import table


def judge(reward: MathReward, completion: str, reference: str) -> Score:
    [outcome] = reward.score([Rollout(id="r", completion=completion, reference=MathReference([reference]))])
    assert isinstance(outcome, Score), outcome
    return outcome


@pytest.mark.parametrize("case", table("last_number"))
def test_last_number(case: dict[str, Any]) -> None:
    found = answers(case["completion"], guess=True)
    assert [answer.text for answer in found] == ([] if case["answer"] is None else [case["answer"]])
    plain = answers(case["completion"])
    assert plain in ((), found), "what is marked as the answer stays it"


@pytest.mark.parametrize(
    ("completion", "reference"),
    [
        ("So there were 42.", "42"),
        ("She lost -\\$1,024.50 there.", "-1024.5"),
        ("She lost −42 points there.", "-42"),
        ("We used 2 1/2 cups there.", r"\frac{5}{2}"),
        ("That makes 28 percent of them.", r"28\%"),
        ("It costs $42 now.", r"\$42"),
    ],
)
def test_it_is_paid_only_on_request(completion: str, reference: str) -> None:
    assert judge(MathReward(), completion, reference).reason == "no_answer"
    assert judge(MathReward(last_number=True), completion, reference).value == 1.0


@given(st.text(alphabet="0123456789 .,-/%$x^(){}\\\n", max_size=40))
def test_it_is_a_piece_of_the_completion(text: str) -> None:
    for answer in answers(f"There were {text}", guess=True):
        assert f"There were {text}"[answer.start : answer.end] == answer.text


@pytest.mark.parametrize("value", [1, 0, "true", None, "gsm8k"])
def test_anything_but_true_and_false_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="last_number must be true or false"):
        MathReward(last_number=value)


HOSTILE = [
    "1",
    "1 ",
    "1,",
    "1,111",
    "1/",
    "1 1/",
    "$",
    "-",
    r"\frac{1}{",
    "{,}1",
    "9\\",
    "1%",
    "。",
    "so ",
    "$x$ ",
    r"\(",
    r"\[",
    "**",
]
PROGRAM = """
from rewardmesh.contract import MathReference, Rollout
from rewardmesh.rewards.math.reward import MathReward
reward = MathReward(last_number=True)
for piece in {pieces!r}:
    for after in ("", " is the answer.", r"\\boxed{{5}} %"):
        text = piece * (262144 // len(piece)) + after
        reward.score([Rollout(id="r", completion=text, reference=MathReference(["5"]))])
"""


def test_long_hostile_completions_cost_linear_time() -> None:
    """In a process that the kernel ends when it uses far more CPU than it should: no clock decides."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(pieces=HOSTILE)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (30, 30)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
