"""From the model's coordinates to the reference's."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    AnswerSpace,
    Box,
    BoxReference,
    InvalidReferenceError,
    InvalidRolloutError,
    PointReference,
    Rollout,
    Segment,
    SegmentReference,
    Size,
    SpaceUndeclaredError,
)
from rewardmesh.contract.verdict import Failure
from rewardmesh.rewards.action.reward import ActionReward
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.point.reward import PointReward
from rewardmesh.rewards.temporal import TemporalReward
from rewardmesh.rewards.visual.declared import space_option
from rewardmesh.rewards.visual.presets import PRESETS
from rewardmesh.rewards.visual.smart_resize import MAX_RATIO, Resize, smart_resize
from rewardmesh.rewards.visual.space import frame
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
    (score,) = GroundingReward(answer_space=case.get("option")).score([rollout])
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
    assert frame(AnswerSpace(order="yxyx"), _REFERENCE).box([1, 2, 3, 4], named=True) == (1, 2, 3, 4)
    assert frame(AnswerSpace(order="xywh"), _REFERENCE).box([1, 2, 3, 4], named=True) == (1, 2, 3, 4)
    assert frame(AnswerSpace(order="yxyx"), _REFERENCE).point([1, 2], named=True) == (1, 2)
    assert frame(AnswerSpace(order="xyxy", preset="gemini"), _REFERENCE).box([0, 0, 1000, 1000]) == (0, 0, 1000, 500)


_FULL = {"relative_1000": (1000, 1000), "relative_999": (999, 999), "loc_1024": (1024, 1024)}
_FULL |= {"percent": (100, 100), "unit": (1, 1)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("seen", [None, Size(616, 308)])
def test_presets_know_the_whole_image(preset, seen):
    view = frame(AnswerSpace(preset=preset, input_size=seen), _REFERENCE)
    resized = seen or (smart_resize(_SIZE, PRESETS[preset].resize) if PRESETS[preset].resize else None)
    corner = (_FULL | {"resized": resized})[PRESETS[preset].kind]
    assert view.point(corner if view.order == "xyxy" else corner[::-1]) == pytest.approx(_SIZE)


@given(
    preset=st.sampled_from(list(PRESETS)),
    image=st.builds(Size, st.integers(100, 8000), st.integers(100, 8000)),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_what_a_family_writes_of_a_box_is_that_box(preset, image, corners):
    truth = Box(*(a * side for a, side in zip(corners, image * 2, strict=True)))
    written = PRESETS[preset]
    width, height = (_FULL | {"resized": written.resize and smart_resize(image, written.resize)})[written.kind]
    x1, y1, x2, y2 = (a * side for a, side in zip(corners, (width, height, width, height), strict=True))
    view = frame(AnswerSpace(preset=preset), BoxReference([Box(0, 0, 1, 1)], image_size=image))
    numbers = (y1, x1, y2, x2) if written.order == "yxyx" else (x1, y1, x2, y2)
    assert view.box(numbers) == pytest.approx(truth, abs=1e-9)
    assert view.point(numbers[:2]) == pytest.approx(truth[:2], abs=1e-9)


_bounds = {preset.resize for preset in PRESETS.values() if preset.resize} | {Resize(28, 3136, 1_003_520)}


@pytest.mark.parametrize("resize", sorted(_bounds))
def test_smart_resize_is_that_of_the_image_processor(resize):
    theirs = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    dice = random.Random(0)
    images = [Size(dice.randint(1, most), dice.randint(1, most)) for most in (60, 600, 6000) for _ in range(2000)]
    images += [Size(14 * i, 14 * j) for i in range(1, 60) for j in range(1, 60)]  # halves, which round to even
    for image in images:
        if max(image) <= MAX_RATIO * min(image):
            assert smart_resize(image, resize) == theirs(image.height, image.width, *resize)[::-1], image
        else:
            with pytest.raises(ValueError, match="200"):
                smart_resize(image, resize)


def test_smart_resize_keeps_the_pixels_within_bounds():
    assert smart_resize(Size(1920, 1080), Resize(28, 3136, 12_845_056)) == (1932, 1092)
    assert smart_resize(Size(1920, 1080), Resize(28, 3136, 1_003_520)) == (1316, 728)
    assert smart_resize(Size(100, 100), Resize(28, 78_400, 12_845_056)) == (280, 280)


def test_the_rollouts_own_space_wins_and_may_add_to_the_options():
    reference = BoxReference([Box(0, 0, 1, 1)], image_size=Size(1920, 1080))
    shrunk = space_option({"preset": "qwen2.5-vl", "max_pixels": 1_003_520})
    by_option = frame(None, reference, shrunk)
    assert by_option.scale == (1920 / 1316, 1080 / 728)
    assert frame(AnswerSpace(preset="qwen2.5-vl"), reference, shrunk) == by_option
    assert frame(AnswerSpace(preset="mimo-vl"), reference, shrunk).scale == (1920 / 1932, 1080 / 1092)
    assert frame(AnswerSpace("relative_1000"), reference, shrunk).scale == (1.92, 1.08)
    assert frame(AnswerSpace("pixels"), reference, shrunk).scale == (1, 1)
    assert frame(AnswerSpace(input_size=Size(960, 540)), reference, shrunk).scale == (2, 2)
    assert frame(AnswerSpace(order="yxyx"), reference, space_option({"kind": "unit"})).point([0.5, 1]) == (1920, 540)


@pytest.mark.parametrize("make", [GroundingReward, PointReward, ActionReward, TemporalReward])
@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("unit", "mapping"),
        ({}, "a kind or a preset"),
        ({"kind": "inches"}, "'inches'"),
        ({"preset": 7}, "preset must be a text"),
        ({"kind": "percent", "scale": 2}, "no field scale"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_at_once(make, option, says):
    with pytest.raises(ValueError, match=says):
        make(answer_space=option)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"preset": "gpt"}, "'gpt'"),
        ({"kind": "unit", "order": "xxyy"}, "'xxyy'"),
        ({"kind": "resized", "input_size": [0, 5]}, "input_size"),
        ({"kind": "resized", "input_size": 5}, "input_size"),
        ({"preset": "qwen2.5-vl", "max_pixels": 1.5}, "max_pixels"),
        ({"preset": "qwen2.5-vl", "max_pixels": 700}, "28"),
        ({"preset": "qwen2.5-vl", "min_pixels": 2**30}, "min_pixels"),
        ({"preset": "qwen3-vl", "max_pixels": 1000}, "of no use"),
    ],
)
def test_an_option_about_images_is_checked_too(option, says):
    with pytest.raises(ValueError, match=says):
        space_option(option)


@pytest.mark.parametrize("make", [GroundingReward, PointReward, ActionReward, TemporalReward])
@pytest.mark.parametrize("option", [{"preset": "qwen2.5-vl"}, {"preset": "gemini"}, {"kind": "percent"}])
def test_a_reward_passes_its_self_test_whatever_the_option(make, option):
    (score,) = make(answer_space=option).score([make.example])
    assert score.value == 1


def test_time_is_in_percent_where_the_option_says_so_unless_the_rollout_says_otherwise():
    reference = SegmentReference([Segment(30, 60)], duration=120)
    percent = TemporalReward(answer_space={"kind": "percent"})
    rollouts = [
        Rollout("r", "[25, 50]", reference=reference),
        Rollout("r", "[30, 60]", reference=reference, answer_space=AnswerSpace("seconds")),
    ]
    assert [score.value for score in percent.score(rollouts)] == [1.0, 1.0]
    (outcome,) = percent.score([Rollout("r", "[25, 50]", reference=SegmentReference([Segment(30, 60)]))])
    assert isinstance(outcome, InvalidReferenceError)


def test_a_format_with_a_space_of_its_own_needs_a_declaration():
    view = frame(None, _REFERENCE)
    assert view.box([1, 2, 3, 4]) == (1, 2, 3, 4)
    for read, numbers in ((view.box, [1, 2, 3, 4]), (view.point, [1, 2])):
        with pytest.raises(SpaceUndeclaredError, match=r"'loc_1024'.*'pixels'"):
            read(numbers, "loc_1024")
    assert frame(None, BoxReference([Box(0, 0, 1, 1)], "percent")).point([1, 2], "percent") == (1, 2)
    assert frame(AnswerSpace("pixels"), _REFERENCE).point([1, 2], "percent") == (1, 2)  # what is declared holds


@pytest.mark.parametrize(
    ("completion", "option", "value"),
    [
        ("<loc0256><loc0256><loc0768><loc0768>", None, None),
        ("<loc0256><loc0256><loc0768><loc0768>", {"preset": "paligemma"}, 1),
        ("<loc_250><loc_250><loc_750><loc_750>", None, None),
        ("<loc_250><loc_250><loc_750><loc_750>", {"preset": "florence-2"}, 1),
        ("[250, 125, 750, 375]", None, 1),
    ],
)
def test_undeclared_and_needed_is_a_failure(completion, option, value):
    rollout = Rollout("r", completion, reference=BoxReference([Box(250, 125, 750, 375)], image_size=_SIZE))
    (outcome,) = GroundingReward(answer_space=option).score([rollout])
    if value is None:
        assert Failure.from_error(outcome).kind == "space_undeclared"
    else:
        assert outcome.value == pytest.approx(value)


def test_numbers_in_tags_are_plain_numbers():
    """Molmo's are percent, but Qwen2.5-VL writes pixels in tags like these."""
    point = '<point x="50.0" y="50.0" alt="cat">cat</point>'
    reference = PointReference([Box(490, 240, 510, 260)], image_size=_SIZE)
    (undeclared,) = PointReward().score([Rollout("r", point, reference=reference)])
    (declared,) = PointReward(answer_space={"preset": "molmo"}).score([Rollout("r", point, reference=reference)])
    assert (undeclared.value, undeclared.reason) == (0, "outside")
    assert declared.value == 1


@pytest.mark.parametrize(
    ("space", "reference", "error", "says"),
    [
        (AnswerSpace("resized"), _REFERENCE, InvalidRolloutError, "input_size"),
        (AnswerSpace(preset="mimo-vl"), BoxReference([Box(0, 0, 1, 1)]), InvalidReferenceError, "image_size"),
        (
            AnswerSpace(preset="mimo-vl"),
            BoxReference([Box(0, 0, 1, 1)], image_size=Size(9, 9000)),
            InvalidReferenceError,
            "image_size",
        ),
        (AnswerSpace("unit"), BoxReference([Box(0, 0, 1, 1)], ""), SpaceUndeclaredError, "no space"),
        (None, BoxReference([Box(0, 0, 1, 1)], ""), SpaceUndeclaredError, "no space"),
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
