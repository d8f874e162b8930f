"""Envelopes: what the router reads of a rollout without opening it."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    Failure,
    FreeReference,
    ImagePart,
    InvalidReferenceError,
    InvalidRolloutError,
    MathReference,
    Message,
    Rollout,
    TextPart,
)
from rewardmesh.contract.envelope import Envelope, batch_from_bytes, batch_to_bytes, open_all, wire_fields
from rewardmesh.v1 import reward_pb2 as pb

from .strategies import rollouts


@given(rollouts)
def test_an_envelope_says_what_is_in_it(rollout: Rollout) -> None:
    envelope = Envelope.seal(rollout)
    assert envelope.open() == rollout
    assert (envelope.id, envelope.task, envelope.source) == (rollout.id, rollout.task, rollout.source)
    assert envelope.reference_type == ("" if rollout.reference is None else rollout.reference.type)


@given(st.lists(rollouts, max_size=3), st.floats(0, 1e6))
def test_a_batch_comes_back_from_bytes(sent: list[Rollout], timeout: float) -> None:
    envelopes, left = batch_from_bytes(batch_to_bytes([Envelope.seal(r) for r in sent], timeout))
    assert open_all(envelopes) == sent
    assert left == timeout


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("", ""),
        ("one", "one"),
        ((Message("system", "a"), Message("user", (ImagePart(0), TextPart("b"), TextPart("c")))), "a\nb\nc"),
        ((Message("user", (ImagePart(0),)),), ""),
    ],
)
def test_the_text_of_a_prompt(prompt: str | tuple[Message, ...], text: str) -> None:
    assert Envelope.seal(Rollout("r", "", prompt=prompt)).prompt_text() == text


READ = st.lists(st.sampled_from([field.name for field in dataclasses.fields(Rollout)]))


@given(rollouts, rollouts, READ)
def test_inputs_are_equal_where_the_fields_read_are(one: Rollout, other: Rollout, read: list[str]) -> None:
    mixed = dataclasses.replace(other, **{name: getattr(one, name) for name in read})
    first, second = (Envelope.seal(rollout).inputs(wire_fields(read)) for rollout in (one, mixed))
    assert first == second


@given(rollouts, READ)
def test_inputs_hold_what_is_read_and_nothing_else(rollout: Rollout, read: list[str]) -> None:
    needed = ["id", "completion", *read]
    found = Envelope(pb.Rollout.FromString(Envelope.seal(rollout).inputs(wire_fields(needed)))).open()
    assert found == Rollout(**{name: getattr(rollout, name) for name in needed})


def test_a_field_that_no_rollout_has_is_named() -> None:
    with pytest.raises(ValueError, match=r"no such field of a rollout: 'answers'; known: id, completion"):
        wire_fields(["completion", "answers"])


def test_a_task_is_written_in() -> None:
    envelope = Envelope.seal(Rollout("r", "", reference=MathReference(["1"])))
    assert envelope.classified("math").open().task == "math"


def test_an_empty_reference_has_no_type() -> None:
    assert Envelope(pb.Rollout(reference=pb.Reference())).reference_type == ""
    assert Envelope.seal(Rollout("r", "", reference=FreeReference("own"))).reference_type == "own"


def test_one_with_the_wrong_shape_leaves_its_neighbours_alone() -> None:
    good = Rollout("r", "")
    opened = open_all([Envelope.seal(good), Envelope(pb.Rollout(id="bad")), Envelope.seal(good)])
    assert opened == [good, Failure("invalid_rollout", "completion is missing"), good]


@given(st.binary(max_size=100) | rollouts.map(lambda rollout: Envelope.seal(rollout).message.SerializeToString()),
       st.integers(0, 10**6), st.binary(max_size=4))  # fmt: skip
def test_any_bytes_are_a_rollout_or_refused(data: bytes, place: int, patch: bytes) -> None:
    place %= len(data) + 1
    try:
        message = pb.Rollout.FromString(data[:place] + patch + data[place + len(patch) :])
    except DecodeError:
        return  # gRPC refuses these before they reach us
    envelope = Envelope(message)
    assert isinstance(envelope.reference_type + envelope.prompt_text(), str)
    try:
        assert isinstance(envelope.open(), Rollout)
    except (InvalidRolloutError, InvalidReferenceError) as error:
        str(error).encode()
