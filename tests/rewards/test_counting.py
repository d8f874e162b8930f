"""Counts in digits, English and Chinese."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rewardmesh.contract import CountReference, InvalidReferenceError, Rollout
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.rewards.counting import MAX_COUNT, CountingReward
from rewardmesh.rewards.numerals import chinese, english
from tests.rewards.tables import table

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety"
_HAN = "零一二三四五六七八九"


def _score(completion, count, truncated=False):
    rollout = Rollout("r", completion, reference=CountReference(count), truncated=truncated)
    return CountingReward().score([rollout])[0]


def _english(n):
    """An independent speller, to read back."""
    if n < 20:
        return _ONES.split()[n]
    if n < 100:
        return _TENS.split()[n // 10] + (f"-{_english(n % 10)}" if n % 10 else "")
    return f"{_english(n // 100)} hundred" + (f" and {_english(n % 100)}" if n % 100 else "")


def _chinese(n):
    if n < 10:
        return _HAN[n]
    if n < 100:
        return (_HAN[n // 10] if n >= 20 else "") + "十" + (_HAN[n % 10] if n % 10 else "")
    rest = n % 100
    tail = "" if not rest else "零" + _HAN[rest] if rest < 10 else ("一" if rest < 20 else "") + _chinese(rest)
    return _HAN[n // 100] + "百" + tail


@pytest.mark.parametrize("case", table("counting"))
def test_table(case):
    score = _score(case["completion"], case["count"], case.get("truncated", False))
    assert (score.value, score.reason) == (case["value"], case["reason"])
    if "components" in case:
        assert score.components == case["components"]


@given(st.integers(0, MAX_COUNT))
def test_its_own_reference_is_right(count):
    assert _score(as_answer(CountReference(count)), count).value == 1


@pytest.mark.parametrize("n", range(1000))
def test_words_are_read_back(n):
    assert english(_english(n)) == n
    assert chinese(_chinese(n)) == n
    assert _score(f"There are {_english(n)} cats.", n).value == 1
    assert _score(f"图中有{_chinese(n)}只猫。", n).value == 1


@example(21, 20, "{}到{}")
@example(30, 0, "{}-{}")
@given(st.integers(0, 99), st.integers(0, 99), st.sampled_from(["{}-{}", "{} or {}", "{} {}", "{}, {}", "{}到{}"]))
def test_two_counts_never_pay(a, b, hedge):
    for spell in (str, _english):
        for truth in {a, b}:
            if a != b:
                assert _score(hedge.format(spell(a), spell(b)), truth).value == 0


@pytest.mark.parametrize("count", [-1, MAX_COUNT + 1])
@pytest.mark.parametrize("completion", ["-1", ""])
def test_a_reference_that_makes_no_sense_is_never_a_score(count, completion):
    outcome = _score(completion, count)
    assert isinstance(outcome, InvalidReferenceError)
    assert str(count) in str(outcome)


@given(st.text("0123456789.,-% \nonetwhrdfuia三十百两第个①", max_size=60))
def test_any_text_gets_a_score(text):
    assert _score(text, 3).value in (0, 1)


@pytest.mark.timeout(30)  # backtracking would take hours
@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "1.1.", "to ", "1,111", "one ", "twenty-", "百", "1. ", "\n1.\t", "no ", "so ", "a hundred and "],
)
def test_hostile_text_is_read_in_linear_time(piece):
    _score(piece * (256 * 1024 // len(piece)), 3)
