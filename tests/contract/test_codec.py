"""Nouns to protobuf and back: lossless, and refused where protobuf cannot carry them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    AnswerSpace,
    Box,
    BoxReference,
    CountReference,
    Failure,
    FreeReference,
    Image,
    InvalidReferenceError,
    InvalidRolloutError,
    MathReference,
    Message,
    Reference,
    Rollout,
    Score,
    TextPart,
    Verdict,
)
from rewardmesh.contract.codec import (
    decode_response,
    decode_rollout,
    decode_verdict,
    encode_response,
    encode_rollout,
    encode_verdict,
)
from rewardmesh.contract.errors import InvalidScoreError
from rewardmesh.contract.json_form import read_rollout, write_rollout
from rewardmesh.contract.json_shape import MAX_DEPTH
from rewardmesh.v1 import reward_pb2 as pb

from .strategies import json_values, references_of, rollouts, verdicts, wild_texts


def over_the_wire(rollout: Rollout) -> Rollout:
    return decode_rollout(pb.Rollout.FromString(encode_rollout(rollout).SerializeToString()))


@given(rollouts)
def test_rollouts_come_back_as_they_went(rollout: Rollout) -> None:
    assert over_the_wire(rollout) == rollout


@given(references_of(st.floats(allow_nan=False)))
def test_references_come_back_even_with_infinities(reference: Reference) -> None:
    assert over_the_wire(Rollout("r", "", reference=reference)).reference == reference


@given(rollouts)
def test_a_reference_that_was_encoded_before_is_the_same(rollout: Rollout) -> None:
    first = encode_rollout(rollout)
    shared = first.reference if rollout.reference is not None else None
    assert encode_rollout(rollout, shared) == first


def test_nan_comes_back() -> None:
    reference = over_the_wire(Rollout("r", "", reference=BoxReference([Box(0, math.nan, 1, 1)]))).reference
    assert isinstance(reference, BoxReference)
    assert math.isnan(reference.boxes[0].y1)


@given(rollouts)
def test_wire_and_json_agree(rollout: Rollout) -> None:
    assert write_rollout(over_the_wire(read_rollout(write_rollout(rollout)))) == write_rollout(rollout)


@given(st.lists(verdicts, max_size=4))
def test_verdicts_come_back_as_they_went(sent: list[Verdict]) -> None:
    response = pb.ScoreResponse.FromString(encode_response(sent, id=7).SerializeToString())
    assert response.id == 7
    assert decode_response(response) == sent


@given(json_values)
def test_metadata_keeps_its_types(value: Any) -> None:
    back = over_the_wire(Rollout("r", "", metadata={"x": value})).metadata["x"]
    assert json.dumps(back) == json.dumps(value)  # == alone would let 3.0 pass for 3


@given(wild_texts, wild_texts)
def test_any_text_is_carried_or_refused(completion: str, answer: str) -> None:
    rollout = Rollout("r", completion, reference=MathReference([answer]))
    try:
        assert over_the_wire(rollout) == rollout
    except InvalidRolloutError:
        assert any("\ud800" <= letter <= "\udfff" for letter in completion)
    except InvalidReferenceError:
        assert any("\ud800" <= letter <= "\udfff" for letter in answer)


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE


@pytest.mark.parametrize(
    "metadata",
    [{"x": math.nan}, {"x": (math.inf,)}, {"x": ("\ud800",)}, {"x": {1}}, {"x": b""}, {1: "x"}, {"x": {None: 1}},
     {"x": 10**5000}, deep(MAX_DEPTH + 1), deep(100_000), CYCLE],
    ids=["nan", "inf in a tuple", "surrogate in a tuple", "set", "bytes", "int key", "None key", "5000 digits", "deep",
         "very deep", "cycle"],
)  # fmt: skip
def test_metadata_that_is_no_json_is_refused(metadata: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidRolloutError) as caught:
        encode_rollout(Rollout("r", "", metadata=metadata))
    assert len(str(caught.value)) < 2000
    with pytest.raises(InvalidReferenceError):
        encode_rollout(Rollout("r", "", reference=FreeReference("own", metadata)))


@pytest.mark.parametrize(
    "fields",
    [
        {"completion": 3},
        {"completion": None},
        {"id": None},
        {"id": ""},
        {"step": "1"},
        {"step": 2**63},
        {"truncated": "yes"},
        {"prompt": 7},
        {"prompt": [{"role": "user", "content": "x"}]},
        {"prompt": (Message("user", [{"type": "text", "text": "x"}]),)},  # type: ignore[arg-type]
        {"prompt": (Message("user", (TextPart("\ud800"),)),)},
        {"images": [b"bytes"]},
        {"images": (Image(data="text"),)},  # type: ignore[arg-type]
        {"answer_space": "pixels"},
        {"metadata": [1]},
    ],
)
def test_wrong_types_are_the_rollouts_fault(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRolloutError):
        encode_rollout(Rollout(**{"id": "r", "completion": "", **fields}))


@pytest.mark.parametrize(
    "reference",
    [
        {"type": "math", "answers": ["1"]},
        "42",
        MathReference([1]),  # type: ignore[list-item]
        BoxReference([(1, 2, 3)]),  # type: ignore[list-item]
        BoxReference([(1, 2, 3, "4")]),  # type: ignore[list-item]
        CountReference(1.5),  # type: ignore[arg-type]
        CountReference(2**63),
        CountReference(None),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_are_the_references_fault(reference: Any) -> None:
    with pytest.raises(InvalidReferenceError):
        encode_rollout(Rollout("r", "", reference=reference))


def test_sizes_may_be_plain_pairs() -> None:
    space = AnswerSpace("resized", input_size=(640, 480))  # type: ignore[arg-type]
    assert over_the_wire(Rollout("r", "", answer_space=space)).answer_space == space


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (pb.Rollout(id="r"), "completion is missing"),
        (pb.Rollout(completion=""), "id is missing"),
        (pb.Rollout(id="r", completion="", prompt="", messages=[pb.Message()]), "either prompt or messages"),
        (pb.Rollout(id="r", completion="", metadata_json="{"), "metadata is not JSON"),
        (pb.Rollout(id="r", completion="", metadata_json="[1]"), "metadata must be a JSON object"),
        (pb.Rollout(id="r", completion="", metadata_json="[" * 10**5), "metadata is not JSON"),
        (pb.Rollout(id="r", completion="", metadata_json='{"a": NaN}'), "metadata.a must be finite"),
        (pb.Rollout(id="r", completion="", metadata_json='{"a": "\\ud800"}'), "metadata.a holds a lone surrogate"),
        (pb.Rollout(id="r", completion="", metadata_json='{"a": ' + "[" * 90 + "]" * 90 + "}"), "nested deeper"),
        (pb.Rollout(id="r", completion="", metadata_json='{"a": ' + "9" * 5000 + "}"), "metadata is not JSON"),
    ],
)
def test_messages_of_the_wrong_shape_are_refused(message: pb.Rollout, error: str) -> None:
    with pytest.raises(InvalidRolloutError, match=error):
        decode_rollout(message)


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        (pb.Reference(), "no type this version knows"),
        (pb.Reference(point=pb.PointReference(regions=[pb.Region()])), "a box or a polygon"),
        (pb.Reference(free=pb.FreeReference(type="own", fields_json="[]")), "must be a JSON object"),
        (pb.Reference(free=pb.FreeReference(type="own", fields_json="{")), "not JSON"),
        (pb.Reference(free=pb.FreeReference(type="own", fields_json='{"x": NaN}')), "reference.x must be finite"),
        (pb.Reference(free=pb.FreeReference(type="own", fields_json='{"type": "math"}')), "cannot have a field 'type'"),
        (pb.Reference(free=pb.FreeReference(type="math")), "cannot have the type 'math'"),
    ],
)
def test_references_of_the_wrong_shape_are_refused(reference: pb.Reference, error: str) -> None:
    with pytest.raises(InvalidReferenceError, match=error):
        decode_rollout(pb.Rollout(id="r", completion="", reference=reference))


@pytest.mark.parametrize("score", [pb.Score(value=1.5), pb.Score(value=math.nan), pb.Score(value=1, raw=math.inf)])
def test_a_broken_servers_score_is_refused(score: pb.Score) -> None:
    with pytest.raises(InvalidScoreError):
        decode_verdict(pb.Verdict(id="r", score=score))


@pytest.mark.parametrize("message", [pb.Verdict(id="r"), pb.Verdict(id="r", failure=pb.Failure(kind="boredom"))])
def test_a_verdict_without_an_outcome_this_version_knows_is_refused(message: pb.Verdict) -> None:
    with pytest.raises(ValueError, match="unknown failure kind"):
        decode_verdict(message)


def test_verdicts_that_quote_surrogates_still_travel() -> None:
    score = Score(0.0, "", "ex\ud800", "pa\ud800", components={"co\ud800": 1})
    assert decode_verdict(encode_verdict(Verdict("r", score))).outcome == Score(0.0, "", "ex?", "pa?", None, {"co?": 1})
    failure = Failure("crashed", "me\ud800")
    assert decode_verdict(encode_verdict(Verdict("r", failure))).outcome == Failure("crashed", "me?")


def forged(outcome: Score | Failure, field: str, value: object) -> Verdict:
    """A verdict whose outcome was tampered with after its constructor had checked it."""
    object.__setattr__(outcome, field, value)
    return Verdict("bad", outcome, "math", "math", "1")


@pytest.mark.parametrize(
    "bad",
    [
        forged(Score(0.5), "span", (0.0, 1.5)),
        forged(Score(0.5), "components", None),
        forged(Score(0.5), "value", 10**400),
        forged(Score(0.5), "explanation", None),
        forged(Failure("crashed", ""), "message", None),
        forged(Failure("crashed", ""), "retryable", "yes"),
        Verdict("bad", None, "math", "math", "1"),  # type: ignore[arg-type]
        Verdict("bad", Score(0.5), "math", "math", 1),  # type: ignore[arg-type]
        Verdict("bad", Score(0.5), "math", "math", "\ud800"),
        Verdict("bad", Score(0.5), "math", "math", "1", seconds="late"),  # type: ignore[arg-type]
    ],
    ids=["span", "components", "huge value", "explanation", "message", "retryable", "no outcome", "version",
         "surrogate", "seconds"],
)  # fmt: skip
def test_a_verdict_that_cannot_be_encoded_is_its_own_failure(bad: Verdict) -> None:
    good = Verdict("good", Score(1.0, "ok"), "math", "math", "1")
    first, broken, last = decode_response(encode_response([good, bad, good]))
    assert first == last == good
    assert (broken.id, broken.task, broken.reward) == ("bad", "math", "math")
    assert broken.failure is not None
    assert broken.failure.kind == "reward_error"
    assert broken.failure.message.startswith("the verdict cannot be encoded: ")
