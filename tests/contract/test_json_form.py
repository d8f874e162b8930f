"""The JSON form: lossless both ways, and every malformed line refused with its field named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    Box,
    BoxReference,
    FreeReference,
    InvalidReferenceError,
    InvalidRolloutError,
    Rollout,
    Verdict,
)
from rewardmesh.contract.json_form import read_rollout, read_verdict, rollout_from_json, write_rollout, write_verdict
from rewardmesh.contract.json_shape import MAX_DEPTH

from .strategies import rollouts, verdicts, wild_json, wild_texts

LINES = Path(__file__).parents[1] / "cases" / "json_lines.jsonl"
CASES = [json.loads(line) for line in LINES.read_text().splitlines()]


@given(rollouts)
def test_rollouts_come_back_as_they_went(rollout: Rollout) -> None:
    line = write_rollout(rollout)
    assert "\n" not in line
    assert read_rollout(line) == rollout
    assert read_rollout(line.encode()) == rollout


@given(verdicts)
def test_verdicts_come_back_as_they_went(verdict: Verdict) -> None:
    line = write_verdict(verdict)
    assert "\n" not in line
    assert read_verdict(line) == verdict


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_malformed_lines_are_refused_by_name(case: dict[str, Any]) -> None:
    error = InvalidReferenceError if case.get("reference") else InvalidRolloutError
    read = read_verdict if case.get("verdict") else read_rollout
    with pytest.raises(error) as caught:
        read(case["line"])
    assert type(caught.value) is error
    assert case["error"] in str(caught.value)


def test_a_line_needs_an_id_and_a_completion_only() -> None:
    assert read_rollout('{"id": "r", "completion": ""}') == Rollout("r", "")


def test_null_is_absent() -> None:
    assert read_rollout('{"id": "r", "completion": "", "reference": null, "step": null}') == Rollout("r", "")


def test_numbers_in_metadata_stay_what_they_are() -> None:
    metadata = {"int": 3, "float": 3.0, "large": 2**70, "true": True, "none": None}
    back = read_rollout(write_rollout(Rollout("r", "", metadata=metadata))).metadata
    assert back == metadata
    assert [type(value) for value in back.values()] == [int, float, int, bool, type(None)]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "-1e400", "1" + "0" * 400])
def test_numbers_that_are_none_are_for_the_reward_to_judge(number: str) -> None:
    line = f'{{"id": "r", "completion": "", "reference": {{"type": "boxes", "boxes": [[0, 0, {number}, 1]]}}}}'
    reference = read_rollout(line).reference
    assert isinstance(reference, BoxReference)
    assert not math.isfinite(reference.boxes[0].x2)


def test_what_json_cannot_say_is_not_written() -> None:
    rollout = Rollout("r", "", reference=BoxReference([Box(0, 0, math.nan, 1)]))
    with pytest.raises(InvalidRolloutError, match="cannot be written as JSON"):
        write_rollout(rollout)


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


def test_nesting_is_bounded() -> None:
    def line(depth: int) -> str:
        return f'{{"id": "r", "completion": "", "metadata": {{"deep": {nested(depth)}}}}}'

    read_rollout(line(MAX_DEPTH - 1))
    with pytest.raises(InvalidRolloutError, match=f"deeper than {MAX_DEPTH}"):
        read_rollout(line(MAX_DEPTH))


@pytest.mark.parametrize("field", ["id", "completion", "prompt", "images", "metadata", "step", "answer_space", "bogus"])
def test_deep_values_are_refused_wherever_they_stand(field: str) -> None:
    for depth in (*range(900, 1000), 100_000):  # somewhere here reading works and looking at what was read does not
        fields = {"id": '"r"', "completion": '""', field: nested(depth)}
        with pytest.raises(InvalidRolloutError):
            read_rollout("{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}")


@pytest.mark.parametrize("line", ["[" * 10**6, '{"a":' * 10**5, "1" * 5000, '{"id": ' + "9" * 5000 + "}", '"' * 10**6])
def test_hostile_lines_are_refused_and_quoted_only_in_part(line: str) -> None:
    with pytest.raises(InvalidRolloutError) as caught:
        read_rollout(line)
    assert len(str(caught.value)) < 500


def test_a_long_value_is_quoted_only_in_part() -> None:
    with pytest.raises(InvalidRolloutError) as caught:
        rollout_from_json({"id": ["x" * 10**6] * 10, "completion": ""})
    assert len(str(caught.value)) < 1000


@given(wild_json)
def test_any_json_value_is_a_rollout_or_refused(value: Any) -> None:
    refuse_or_read(value)


LIKELY = {
    "id": wild_texts, "completion": wild_texts, "prompt": wild_texts | st.lists(wild_json), "metadata": wild_json,
    "images": wild_json, "answer_space": wild_json, "truncated": wild_json, "step": wild_json,
    "reference": st.fixed_dictionaries(
        {"type": st.sampled_from(["math", "boxes", "point", "count", "segments", "action", "preference", "own"])},
        optional=dict.fromkeys(
            ["answers", "boxes", "regions", "count", "segments", "action", "completions", "space", "image_size",
             "labels", "duration", "region", "text", "direction", "refusal"],
            wild_json | st.lists(st.lists(st.floats() | st.integers(), min_size=4, max_size=4)),
        ),
    ),
}  # fmt: skip


@given(st.fixed_dictionaries({}, optional=LIKELY))
def test_anything_like_a_rollout_is_a_rollout_or_refused(value: dict[str, Any]) -> None:
    refuse_or_read(value)


def refuse_or_read(value: Any) -> None:
    try:
        rollout = rollout_from_json(value)
    except (InvalidRolloutError, InvalidReferenceError) as error:
        str(error).encode()  # the message itself can travel
    else:
        assert isinstance(rollout, Rollout)


@given(st.text() | st.binary())
def test_any_line_is_a_rollout_or_refused(line: str | bytes) -> None:
    with pytest.raises(InvalidRolloutError):
        read_rollout(line)  # none of these is an object with an id


@given(wild_json | st.fixed_dictionaries({"id": wild_texts}, optional={"score": wild_json, "failure": wild_json}))
def test_any_json_value_is_a_verdict_or_refused(value: Any) -> None:
    try:
        assert isinstance(read_verdict(json.dumps(value)), Verdict)
    except InvalidRolloutError as error:
        str(error).encode()


def test_a_plugin_keeps_its_own_fields() -> None:
    line = '{"id": "r", "completion": "", "reference": {"type": "own", "n": 3, "deep": {"x": [1.0, null]}}}'
    rollout = read_rollout(line)
    assert rollout.reference == FreeReference("own", {"n": 3, "deep": {"x": [1.0, None]}})
    assert json.loads(write_rollout(rollout)) == json.loads(line)
