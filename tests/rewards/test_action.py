"""GUI actions answered against reference actions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import (
    ActionReference,
    AnswerSpace,
    Box,
    InvalidReferenceError,
    InvalidRolloutError,
    Point,
    Polygon,
    Rollout,
    Size,
    SpaceUndeclaredError,
)
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.contract.json_reference import reference_from_json
from rewardmesh.rewards.action.kind import kind_of
from rewardmesh.rewards.action.reward import ActionReward
from rewardmesh.rewards.action.text import normalised, same_keys, token_f1
from tests.rewards.tables import table

BOX = Box(10, 20, 110, 220)
CLICK = ActionReference("click", BOX)
TYPE = ActionReference("type", BOX, "hello big world")


def score(completion, reference, space=None, **options):
    rollout = Rollout("r", completion, reference=reference, answer_space=space)
    return ActionReward(**options).score([rollout])[0]


def typed(text, at=(60, 40)):
    return json.dumps({"action": "type", "start_point": list(at), "text": text})


@pytest.mark.parametrize("case", table("action"))
def test_table(case):
    reference = reference_from_json({"type": "action", **case["reference"]})
    space = AnswerSpace(**case["space"]) if "space" in case else None
    outcome = score(case["completion"], reference, space, **case.get("options", {}))
    assert (outcome.value, outcome.reason) == (pytest.approx(case["value"]), case["reason"])


words = st.text("abcXYZ 0123.,:/'\"-_éß中文", min_size=1, max_size=30)
actions = st.one_of(
    st.builds(ActionReference, st.sampled_from(["click", "long_press", "double_click", "hover"]), st.just(BOX)),
    st.builds(ActionReference, st.sampled_from(["type", "input", "open_app"]), st.none() | st.just(BOX), words),
    st.builds(
        ActionReference,
        st.sampled_from(["scroll", "swipe"]),
        st.none() | st.just(BOX),
        st.none(),
        st.sampled_from(["up", "down", "left", "right"]),
    ),
    st.builds(ActionReference, st.sampled_from(["wait", "finished", "press_home", "press_back"])),
    st.builds(ActionReference, st.just("hotkey"), st.none(), st.sampled_from(["ctrl c", "ctrl+shift+t", "enter"])),
    st.just(ActionReference("click", Polygon((Point(5, 5), Point(50, 5), Point(20, 60))))),
)


@given(actions)
def test_its_own_reference_is_right(reference):
    outcome = score(as_answer(reference), reference)
    assert (outcome.value, outcome.reason) == (1, "ok"), outcome


@given(actions, actions)
def test_components_are_those_the_reference_has(reference, other):
    outcome = score(as_answer(other), reference)
    if outcome.components.get("type"):
        has = {"type"} | ({"point"} if reference.region else set()) | ({"direction"} if reference.direction else set())
        assert outcome.components.keys() == has | ({"text", "text_f1"} if reference.text is not None else set())
    else:
        assert outcome.value == 0
    assert outcome.value == 1 or outcome.reason != "ok"


def test_weights_share_the_value_among_the_parts():
    wrong_text, wrong_place = typed("bye"), typed("hello big world", at=(500, 500))
    assert score(wrong_text, TYPE).value == score(wrong_place, TYPE).value == 0.5
    assert score(wrong_text, TYPE, weights={"text": 3}).value == 0.25
    assert score(wrong_text, TYPE, weights={"type": 1}).value == pytest.approx(2 / 3)
    unasked = score(wrong_text, TYPE, weights={"text": 0})
    assert (unasked.value, unasked.reason) == (1, "ok")
    assert score(wrong_text, TYPE, weights={"point": 0}).value == 0
    assert score('{"action": "scroll"}', TYPE, weights={"type": 1}).value == 0, "another kind earns nothing at all"


def test_a_kind_alone_earns_nothing():
    for lazy in ('{"action": "click", "start_point": [500, 500]}', '{"action": "click"}', "click()"):
        assert score(lazy, CLICK, None).value == 0


def test_components_do_not_follow_the_options():
    plain = score(typed("hello small world"), TYPE)
    paid = score(typed("hello small world"), TYPE, text_f1=0.5, weights={"type": 2})
    assert (plain.value, plain.reason) == (0.5, "wrong_text")
    assert (paid.value, paid.reason) == (1, "ok")
    assert plain.components == paid.components == {"type": 1, "point": 1, "text": 0, "text_f1": pytest.approx(2 / 3)}


def test_spaces():
    reference = ActionReference("click", Box(90, 40, 110, 60), image_size=Size(1000, 500))
    click = '{"action": "click", "start_point": [%s]}'
    assert score(click % "100, 50", reference).value == 1
    assert score(click % "100, 100", reference).value == 0
    assert score(click % "100, 100", reference, AnswerSpace("relative_1000")).value == 1
    assert score(click % "100, 100", reference, answer_space={"preset": "qwen3-vl"}).value == 1
    assert score(click % "100, 50", reference, AnswerSpace("pixels"), answer_space={"preset": "qwen3-vl"}).value == 1
    assert score("pyautogui.click(x=0.1, y=0.1)", reference, AnswerSpace(preset="kimi-vl")).value == 1


def test_what_has_no_place_needs_no_image_size():
    for reference in (ActionReference("scroll", direction="down"), ActionReference("type", text="a")):
        assert score(as_answer(reference), reference, AnswerSpace(preset="mimo-vl")).value == 1
    outcome = score(as_answer(CLICK), CLICK, AnswerSpace(preset="mimo-vl"))
    assert isinstance(outcome, InvalidReferenceError)


@pytest.mark.parametrize(
    ("reference", "space", "error"),
    [
        (ActionReference(""), None, InvalidReferenceError),
        (ActionReference(" _ "), None, InvalidReferenceError),
        (ActionReference("click", Box(5, 5, 1, 1)), None, InvalidReferenceError),
        (ActionReference("click", Polygon((Point(0, 0), Point(1, 1)))), None, InvalidReferenceError),
        (ActionReference("click", BOX, space="inches"), None, InvalidReferenceError),
        (ActionReference("click", BOX, space=""), None, SpaceUndeclaredError),
        (ActionReference("wait"), AnswerSpace("inches"), InvalidRolloutError),
        (None, None, InvalidReferenceError),
    ],
)
@pytest.mark.parametrize("completion", ['{"action": "click", "start_point": [60, 40]}', "no idea"])
def test_what_cannot_be_judged_is_never_a_score(reference, space, error, completion):
    assert isinstance(score(completion, reference, space), error)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights": {"place": 1}}, "'place'"),
        ({"weights": {"point": -1}}, "point"),
        ({"weights": {"point": float("inf")}}, "point"),
        ({"weights": {"point": True}}, "point"),
        ({"weights": [1]}, "mapping"),
        ({"text_f1": 0}, "text_f1"),
        ({"text_f1": 1.5}, "text_f1"),
        ({"answer_space": {"preset": "gpt"}}, "'gpt'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        ActionReward(**options)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["click", "tap", "LEFT_CLICK", "leftClick", "left click", "pyautogui.click"], "click"),
        (["input", "input_text", "type", "write", "TYPE"], "type"),
        (["hotkey", "press", "key"], "key"),
        (["longpress", "long_press", "LONG_PRESS"], "long_press"),
        (["finished", "terminate", "done"], "finish"),
        (["press_home", "navigate_home"], "home"),
        (["Juggle Balls", "juggle_balls"], "juggleballs"),
    ],
)
def test_kinds(names, kind):
    assert {kind_of(name) for name in names} == {kind}
    assert kind_of(kind) == kind


def test_texts():
    assert normalised("  ＨＥＬＬＯ \n World ") == normalised("hello world")
    assert same_keys("Ctrl+C", "c control")
    assert same_keys("arrowleft", "Left")
    assert not same_keys("ctrl+c", "ctrl+v")
    assert not same_keys("+", "-")
    assert token_f1("hello world", "Hello, WORLD!") == 1
    assert token_f1("hello hello", "hello world") == 0.5
    assert token_f1("app", "apple") == 0
    assert token_f1("打开微信", "打开微博") == 0.75
    assert token_f1("", "") == 1
    assert token_f1("", "a") == 0
    assert token_f1("!?", "!") == 0


@given(st.text("[](){}<>,. :=\"'clicktypesrobx1234\n", max_size=80))
def test_any_text_gets_a_score(text):
    assert 0 <= score(text, TYPE).value <= 1


@pytest.mark.timeout(30)  # backtracking would take hours
@pytest.mark.parametrize(
    "piece", ["click(", '{"action":', "<tool_call>", "\\", "'", "click(start_box='(1,", '{"text": "']
)
def test_hostile_text_is_read_in_linear_time(piece):
    score(piece * (256 * 1024 // len(piece)), TYPE)
