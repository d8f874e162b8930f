"""One name for the kinds of action that models and data sets call differently."""

from __future__ import annotations

import re

# Names by MiMo-VL, UI-TARS, Qwen's computer_use and mobile_use, pyautogui, CogAgent, Gemini, AndroidControl, Mind2Web.
_NAMES = {
    "click": "left_click tap click_at left_single touch single_click",
    "double_click": "left_double double_tap double_left_click",
    "triple_click": "",
    "right_click": "right_single",
    "middle_click": "",
    "long_press": "long_click press_and_hold touch_and_hold",
    "hover": "mouse_move move move_to hover_at move_mouse",
    "drag": "left_click_drag drag_to drag_and_drop left_drag",
    "swipe": "flick",
    "scroll": "scroll_at scroll_document",
    "type": "input input_text write typewrite type_text type_text_at enter_text",
    "key": "press hotkey key_press press_key key_combination keyboard",
    "select": "select_option",
    "open": "open_app launch launch_app",
    "switch_app": "app_switch recent recents",
    "back": "press_back navigate_back go_back",
    "home": "press_home navigate_home go_home",
    "enter": "press_enter",
    "wait": "sleep wait_5_seconds",
    "finish": "finished terminate done complete completed end task_complete stop",
    "answer": "",
    "call_user": "interact ask_user",
}
_SEPARATORS = re.compile(r"[\s_\-.]+")
_LONGEST = 64  # characters of a name; nobody's action is called by more


def _joined(name: str) -> str:
    return _SEPARATORS.sub("", name[:_LONGEST].casefold())


# The kinds themselves come as they are, which spares them the joining.
_KIND_OF = {kind: kind for kind in _NAMES} | {
    _joined(name): kind for kind, names in _NAMES.items() for name in (kind, *names.split())
}


def kind_of(name: str) -> str:
    """The kind of action a name stands for: "tap", "LEFT_CLICK" and "leftClick" are all "click".

    An unknown name is a kind of its own, whatever its case and its separators.
    """
    if kind := _KIND_OF.get(name):
        return kind
    joined = _joined(name.removeprefix("pyautogui."))
    return _KIND_OF.get(joined, joined)
