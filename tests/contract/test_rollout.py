"""Rollouts and references: frozen, and the same whichever way they were written down."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given

from rewardmesh.contract import (
    BoxReference,
    Failure,
    FreeReference,
    ImagePart,
    InvalidReferenceError,
    MathReference,
    Message,
    PreferenceReference,
    Rollout,
    TextPart,
)

from .strategies import rollouts


@given(rollouts)
def test_rollouts_pickle(rollout: Rollout) -> None:
    assert pickle.loads(pickle.dumps(rollout)) == rollout


def test_rollouts_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Rollout("r", "").completion = "better"  # type: ignore[misc]


def test_a_text_prompt_is_one_message_of_the_user() -> None:
    assert Rollout("r", "", prompt="hi").messages == (Message("user", "hi"),)
    assert Rollout("r", "").messages == ()


def test_messages_are_the_prompt() -> None:
    prompt = (Message("system", "be brief"), Message("user", (ImagePart(0), TextPart("what?"))))
    assert Rollout("r", "", prompt=prompt).messages == prompt
    assert prompt[0].parts == (TextPart("be brief"),)
    assert prompt[1].parts == (ImagePart(0), TextPart("what?"))


def test_lists_in_references_are_frozen() -> None:
    answers = ["1"]
    reference = MathReference(answers)
    answers.append("2")
    assert reference.answers == ("1",)
    assert hash(reference) == hash(MathReference(("1",)))


def test_a_text_is_no_list_of_answers() -> None:
    with pytest.raises(TypeError, match="takes a list"):
        MathReference("42")
    with pytest.raises(TypeError, match="takes a list"):
        PreferenceReference("hello")
    with pytest.raises(TypeError, match="takes a list"):
        BoxReference([], labels="cat")


def test_a_plugins_reference_cannot_disguise_its_type() -> None:
    with pytest.raises(InvalidReferenceError, match="type"):
        FreeReference("own", {"type": "math"})


@pytest.mark.parametrize("name", ["math", "boxes", "point", "count", "segments", "action", "preference"])
def test_a_plugins_reference_cannot_take_a_built_in_type(name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot have the type '{name}': that is a built-in one") as caught:
        FreeReference(name)
    assert Failure.from_error(caught.value).kind == "invalid_reference"
    assert FreeReference(f"{name}s").type == f"{name}s"
