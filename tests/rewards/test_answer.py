"""Where the final answer stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.rewards.answer import (
    WINDOW,
    Answer,
    after_thinking,
    anchored,
    boxed,
    final_answer,
    side_by_side,
    tagged,
    with_tags,
)
from tests.rewards.tables import table

_LONG = 256 * 1024
_PIECES = [
    "\\boxed{",
    "}",
    "{",
    "\\",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "answer is ",
    "\n",
    "####",
    " ",
    "7",
]


@pytest.mark.parametrize("case", table("answer"))
def test_final_answer(case):
    found = final_answer(case["completion"], with_tags(case.get("thinking", [])))
    assert (found and found.text) == case["answer"]


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_an_answer_is_a_piece_of_the_completion(completion):
    whole = after_thinking(completion)
    found = [whole, final_answer(completion)]
    if whole is not None:
        found += [boxed(whole), tagged(whole), anchored(whole)]
    for answer in filter(None, found):
        assert completion[answer.start : answer.end] == answer.text


@given(st.text(st.characters(exclude_characters="{}\\<◁", exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_what_is_boxed_or_tagged_comes_back(text):
    for completion in (f"working \\boxed{{{text}}} done", f"<think>\\boxed{{x}}</think><answer>{text}</answer>"):
        found = final_answer(completion)
        assert found is not None
        assert found.text == text.strip()


@pytest.mark.parametrize("answer", ["\\boxed{5}", "<answer>5</answer>"])
def test_an_answer_far_from_the_end_is_none(answer):
    near, far = (final_answer(answer + "x" * n) for n in (WINDOW - len(answer), WINDOW))
    assert near is not None
    assert near.text == "5"
    assert far is None


@pytest.mark.timeout(30)  # quadratic work on 256 KiB takes minutes, a linear pass milliseconds
@pytest.mark.parametrize("piece", [*_PIECES, "\\boxed{ ", "\\boxed" + " " * 99, "answer**", "<answer>x", "\\boxed{1}"])
def test_hostile_text_is_read_in_linear_time(piece):
    final_answer((piece * (_LONG // len(piece) + 1))[:_LONG])
    final_answer("x" + (piece * (_LONG // len(piece) + 1))[: _LONG // 2] + "}" * (_LONG // 2))


@given(st.lists(st.sampled_from(_PIECES), max_size=20).map("".join))
def test_thinking_ends_at_the_same_place_whatever_the_length(completion):
    padding = " " * 2000
    short, long = after_thinking(completion), after_thinking(padding + completion)
    assert (short is None) == (long is None)
    if short and long:
        assert short.text == long.text.removeprefix(padding if not short.start else "")
        assert short.end == long.end - len(padding)


def test_the_shortest_neighbours_are_both_read():
    completion = r"\fbox{1}\fbox{2}"
    last = boxed(Answer(completion, 0, len(completion)))
    assert [one.text for one in side_by_side(completion, boxed, last)] == ["1", "2"]
