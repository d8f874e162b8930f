"""From the model's coordinates to the reference's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    AnswerSpace,
    Box,
    BoxReference,
    InvalidReferenceError,
    InvalidRolloutError,
    Rollout,
    Size,
)
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.visual.space import PRESETS, frame
from tests.rewards.tables import table

_SIZE = Size(1000, 500)
_REFERENCE = BoxReference([Box(100, 50, 300, 200)], image_size=_SIZE)
_KINDS = ["pixels", "resized", "relative_1000", "relative_999", "loc_1024", "percent", "unit"]


def _space(fields):
    if fields is None:
        return None
    size = fields.get("input_size")
    return AnswerSpace(**{**fields, "input_size": Size(*size) if size else None})


@pytest.mark.parametrize("case", table("space"))
def test_the_same_box_in_another_space_is_right(case):
    size = case["image_size"]
    reference = BoxReference([Box(*case["box"])], case["reference_space"], image_size=Size(*size) if size else None)
    rollout = Rollout("r", case["completion"], reference=reference, answer_space=_space(case["space"]))
    (score,) = GroundingReward().score([rollout])
    assert (score.value, score.reason) == (pytest.approx(1.0), "ok")


@given(
    kind=st.sampled_from(_KINDS),
    space=st.sampled_from([k for k in _KINDS if k != "resized"]),
    sides=st.tuples(*[st.integers(1, 8000)] * 4),
    at=st.tuples(*[st.floats(0, 1)] * 2),
)
def test_a_place_in_the_image_is_the_same_place_in_every_space(kind, space, sides, at):
    image, seen = Size(*sides[:2]), Size(*sides[2:])
    full = {"pixels": image, "resized": seen, "relative_1000": (1000, 1000), "relative_999": (999, 999)}
    full |= {"loc_1024": (1024, 1024), "percent": (100, 100), "unit": (1, 1)}
    view = frame(AnswerSpace(kind, input_size=seen), BoxReference([Box(0, 0, 1, 1)], space, image_size=image))
    written = [a * side for a, side in zip(at, full[kind], strict=True)]
    there = [a * side for a, side in zip(at, full[space], strict=True)]
    assert view.point(written) == pytest.approx(there)


def test_undeclared_means_the_references_own_space_whatever_the_numbers():
    for space in _KINDS:
        view = frame(None, BoxReference([Box(0, 0, 1, 1)], space))
        assert view.box([0.1, 0.2, 900, 5000]) == (0.1, 0.2, 900, 5000)


def test_orders():
    assert frame(AnswerSpace(order="yxyx"), _REFERENCE).box([1, 2, 3, 4]) == (2, 1, 4, 3)
    assert frame(AnswerSpace(order="yxyx"), _REFERENCE).point([1, 2]) == (2, 1)
    assert frame(AnswerSpace(order="xywh"), _REFERENCE).box([1, 2, 3, 4]) == (1, 2, 4, 6)
    assert frame(AnswerSpace(order="xyxy", preset="gemini"), _REFERENCE).box([0, 0, 1000, 1000]) == (0, 0, 1000, 500)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_know_the_whole_image(preset):
    view = frame(AnswerSpace(preset=preset, input_size=Size(616, 308)), _REFERENCE)
    kind, _ = PRESETS[preset]
    full = {"resized": (616, 308), "relative_1000": (1000, 1000), "relative_999": (999, 999), "loc_1024": (1024, 1024)}
    full |= {"percent": (100, 100), "unit": (1, 1)}
    corner = full[kind] if view.order == "xyxy" else full[kind][::-1]
    assert view.point(corner) == pytest.approx(_SIZE)


@pytest.mark.parametrize(
    ("space", "reference", "error", "says"),
    [
        (AnswerSpace("resized"), _REFERENCE, InvalidRolloutError, "input_size"),
        (AnswerSpace(preset="mimo-vl"), _REFERENCE, InvalidRolloutError, "input_size"),
        (AnswerSpace("resized", input_size=Size(0, 5)), _REFERENCE, InvalidRolloutError, "positive"),
        (AnswerSpace("inches"), _REFERENCE, InvalidRolloutError, "'inches'"),
        (AnswerSpace("seconds"), _REFERENCE, InvalidRolloutError, "'seconds'"),
        (AnswerSpace("unit", "xxyy"), _REFERENCE, InvalidRolloutError, "'xxyy'"),
        (AnswerSpace(preset="gpt"), _REFERENCE, InvalidRolloutError, "'gpt'"),
        (AnswerSpace("unit"), BoxReference([Box(0, 0, 1, 1)]), InvalidReferenceError, "image_size"),
        (AnswerSpace("pixels"), BoxReference([Box(0, 0, 1, 1)], "unit"), InvalidReferenceError, "image_size"),
        (AnswerSpace("unit"), BoxReference([Box(0, 0, 1, 1)], "resized"), InvalidReferenceError, "unknown size"),
        (None, BoxReference([Box(0, 0, 1, 1)], "furlongs"), InvalidReferenceError, "'furlongs'"),
        (None, BoxReference([Box(0, 0, 1, 1)], image_size=Size(-1, 5)), InvalidReferenceError, "image_size"),
    ],
)
def test_what_is_missing_or_unknown_is_an_error_and_not_a_score(space, reference, error, says):
    rollout = Rollout("r", "[0, 0, 1, 1]", reference=reference, answer_space=space)
    (outcome,) = GroundingReward().score([rollout])
    assert isinstance(outcome, error)
    assert says in str(outcome)
