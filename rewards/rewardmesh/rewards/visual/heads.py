"""Where actions begin: the names of actions in JSON objects, before brackets and in upper-case commands."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Form = Literal["object", "tool", "call", "command", "lone"]

# What may stand before the brackets of a call, in small letters without "_". Other functions are no actions.
_CALL_NAMES = (
    "click clickat leftclick leftsingle tap touch doubleclick leftdouble doubletap tripleclick rightclick rightsingle"
    " middleclick longpress longclick hover hoverat mousemove moveto move drag leftclickdrag dragto draganddrop swipe"
    " swipeup swipedown swipeleft swiperight scroll hscroll scrollup scrolldown scrollleft scrollright scrollat"
    " scrolldocument type typetext typetextat input inputtext write typewrite key press hotkey keypress presskey"
    " keycombination select selectoption open openapp launch launchapp appswitch switchapp pressback presshome"
    " pressenter pressrecent pressappswitch navigateback navigatehome back home goback gohome enter wait sleep"
    " wait5seconds finish finished terminate done complete end answer calluser response"
)
_OWNERS = ("pyautogui", "computer", "mobile", "browser", "device", "agent")
# OS-Atlas: CLICK <point>[[1,2]]</point>, TYPE [hello], and on a line of their own PRESS_BACK, WAIT, ...
_COMMAND_NAMES = (
    "CLICK LONG_PRESS DOUBLE_CLICK RIGHT_CLICK TYPE SCROLL SWIPE DRAG OPEN_APP SELECT HOVER MOVETO HOTKEY PRESS"
)
_LONE_NAMES = "PRESS_BACK PRESS_HOME PRESS_RECENT PRESS_ENTER ENTER WAIT COMPLETE IMPOSSIBLE"
_CALLS, _COMMANDS, _LONE = (frozenset(names.split()) for names in (_CALL_NAMES, _COMMAND_NAMES, _LONE_NAMES))

# Each of these begins with what is rare in a text, or takes a whole word at once.
_OBJECT = re.compile(
    r"[\"'](?:(action(?:_type|Type)?|type)[\"']\s{0,16}+:\s{0,16}+[\"']([A-Za-z]\w{0,31}(?:[ .-]\w{1,16}){0,2})[\"']"
    r"|name[\"']\s{0,16}+:\s{0,16}+[\"']([A-Za-z]\w{0,47})[\"']\s{0,16}+,\s{0,16}+"
    r"[\"'](?:arguments|args|parameters)[\"']\s{0,16}+:)"
)
_WORD = re.compile(r"[A-Za-z_][\w.]{0,63}+(\()?+")
_CAPITALS = re.compile(r"[A-Z][A-Z_]{3,15}+(?!\w)(?:([ \t]{0,8}+[<\[])|([ \t\"'.]{0,8}+(?:$|[\n<])))?+")
# Functions whose arguments say which action it is.
_TOOL = re.compile(r"(?i:computer|mobile|browser|phone)(?:_?use)?")


class Head(NamedTuple):
    """The beginning of an action.

    Attributes:
        start: Where it begins in the text.
        end: Where what it is given begins.
        name: The action's name as written.
        form: "object": the value of a key in a JSON object. "tool": a function by name, its arguments in JSON. "call":
            a name and an opening bracket. "command": a name, its arguments to the end of the line. "lone": a name only.
        is_key: The key is one that nothing but an action has.
    """

    start: int
    end: int
    name: str
    form: Form
    is_key: bool = False


def heads(text: str) -> list[Head]:
    """The beginnings of actions in a text, in order. They may lie in the arguments of one another."""
    found: list[Head] = []
    if '"' in text or "'" in text:
        for match in _OBJECT.finditer(text):
            if match[3]:
                if not _TOOL.fullmatch(match[3]):
                    found.append(Head(match.start(), match.end(), match[3], "tool"))
            elif match[1] != "type" or _joined(match[2]) in _CALLS:
                found.append(Head(match.start(), match.end(), match[2], "object", match[1] != "type"))
    if "(" in text:
        for match in _WORD.finditer(text):
            if match[1]:
                owner, _, name = match[0][:-1].rpartition(".")
                if _joined(name) in _CALLS and (not owner or owner in _OWNERS):
                    found.append(Head(match.start(), match.end(), name, "call"))
    for match in _CAPITALS.finditer(text):
        if match[1] and (name := match[0][: -len(match[1])]) in _COMMANDS:
            found.append(Head(match.start(), match.end() - 1, name, "command"))
        elif match[2] is not None and (name := match[0][: len(match[0]) - len(match[2])]) in _LONE:
            found.append(Head(match.start(), match.start() + len(name), name, "lone"))
    found.sort()
    return found


def _joined(name: str) -> str:
    return name.replace("_", "").lower()
