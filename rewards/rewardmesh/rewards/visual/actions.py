"""Reads GUI actions out of a completion: JSON objects, function calls and upper-case commands.

No JSON parser and no `eval`: an action begins with its name, and what it is given is read token by token until its
brackets close. The formats are those of MiMo-VL, Qwen's computer_use and mobile_use, UI-TARS, pyautogui (Aguvis,
Kimi-VL), AndroidWorld, CogAgent and OS-Atlas, with or without "Thought: ... Action: ..." around them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rewardmesh.rewards.action.kind import kind_of
from rewardmesh.rewards.answer import Answer, Tags
from rewardmesh.rewards.visual.arguments import TEXTS, Arguments, Place, read_arguments
from rewardmesh.rewards.visual.heads import Head, heads
from rewardmesh.rewards.visual.parse import MAX_CANDIDATES
from rewardmesh.rewards.visual.places import places
from rewardmesh.rewards.visual.sides import last_run

_ALIASES = {
    "keyboardenter": "press_enter",
    "hscroll": "scroll",
    "status": "finished",
    "pressrecent": "recent",
    "pressappswitch": "recent",
    "response": "answer",
}
_DIRECTIONS = ("up", "down", "left", "right")
_DIRECTION_NAMES = ("direction", "scrolldirection", "dir")
_DIRECTED = re.compile(r"(scroll|swipe)(up|down|left|right)")
_BUTTONS = {"right": "right_click", "middle": "middle_click"}
_CLICKS = {2.0: "double_click", 3.0: "triple_click"}
# Names of arguments, in small letters without "_".
_END_NAMES = (
    "endpoint endbox end endcoordinate endcoord endposition coordinate2 point2 to tocoord tocoordinate destination"
)
_ENDS = frozenset(_END_NAMES.split())
_AMOUNTS = ("", "pixels", "amount", "clicks", "page", "dy", "scrollamount")
# Anything but punctuation, tags and these words between two actions makes the second replace the first.
_SAID = re.compile(r"(?<!\w)(?!(?:and|or|then|json|python|tool_call|import|pyautogui)\b)[^\W\d_]{2}")


class ActionCandidate(NamedTuple):
    """An action as the model wrote it.

    Attributes:
        type: Its kind, in the vocabulary of `rewards.action.kind.kind_of`.
        point: Where, in the model's numbers and order: a point, or a box; None where it does not say.
        end_point: Where it goes to, likewise.
        text: What it types, presses, opens, selects or says; several keys are joined by "+".
        direction: Where it scrolls: "up", "down", "left", "right".
        start: Where it begins in the completion.
        end: Where it ends, exclusive.
        space: The kind of answer space that the format of its point has by nature, as in `Candidate`.
        named: The numbers of its point are written by name, likewise.
    """

    type: str
    point: tuple[float, ...] | None
    end_point: tuple[float, ...] | None
    text: str | None
    direction: str | None
    start: int
    end: int
    space: str = ""
    named: bool = False


def actions(completion: str, tags: Tags) -> list[ActionCandidate]:
    """The actions answered last, at most one more than `MAX_CANDIDATES`; several if nothing is said between them."""
    for pieces in places(completion, tags, to_end=True):
        found: list[ActionCandidate] = []
        for piece in pieces:
            found += _scan(piece, MAX_CANDIDATES + 1 - len(found))
        if found:
            return found if len(found) == 1 or len(found) > MAX_CANDIDATES else last_run(completion, found, _SAID)
    return []


def _scan(piece: Answer, most: int) -> list[ActionCandidate]:
    text = piece.text
    found: list[ActionCandidate] = []
    done = 0
    begun = heads(text)
    for i, head in enumerate(begun):
        if head.start < done:  # part of the one before it
            continue
        # An object that is cut off ends where the next one says what its action is.
        later = begun[i + 1] if i + 1 < len(begun) else head
        stop = later.start if later is not head and later.is_key else len(text)
        start, read = _read(text, head, done, stop)
        done = max(read.end, head.end)
        candidate = _action(head.name, read, piece.start + start, piece.start + done)
        if candidate.type == "drag" and candidate.point is None and found and found[-1].type == "hover":
            moved = found.pop()  # pyautogui drags from where the pointer was moved to
            candidate = candidate._replace(point=moved.point, start=moved.start, space=moved.space, named=moved.named)
        found.append(candidate)
        if len(found) >= most:
            break
    return found


def _read(text: str, head: Head, done: int, stop: int) -> tuple[int, Arguments]:
    """Where an action begins, and what it is given."""
    if head.form == "lone":
        return head.start, Arguments(end=head.end)
    if head.form == "call":
        return head.start, read_arguments(text, head.end, len(text), depth=1)
    if head.form == "command":
        end = text.find("\n", head.end)
        end = len(text) if end < 0 else end
        read = read_arguments(text, head.end, end, depth=1)
        if not read.places:  # TYPE [it's here]
            inner = text[head.end : end].rstrip(" \t\"'.")
            read = Arguments()
            read.texts.append(("", inner.removeprefix("[").removesuffix("]")))
        read.end = end
        return head.start, read
    start = text.rfind("{", done, head.start)
    if head.form == "tool":
        return max(start, head.start), read_arguments(text, head.end, stop)
    if start < 0:  # its beginning is missing
        return head.start, read_arguments(text, head.end, stop, depth=1)
    return start, read_arguments(text, start, stop)


def _action(name: str, read: Arguments, start: int, end: int) -> ActionCandidate:
    meaning = _meaning(name)
    kind, direction = meaning.kind, meaning.direction
    point, end_point = _points(read)
    if meaning.to_point and end_point is None:
        point, end_point = None, point
    text = _text(read)
    if kind in ("scroll", "swipe"):
        if text is not None and text.lower() in _DIRECTIONS:
            direction, text = text.lower(), None
        direction = direction or _direction(read, unnamed=True) or _by_sign(read, meaning.across)
    elif kind == "click":
        for key, value in read.texts:
            kind = _BUTTONS.get(value.lower(), kind) if key == "button" else kind
        for key, number in read.numbers:
            kind = _CLICKS.get(number, kind) if key == "clicks" else kind
    elif kind == "systembutton":
        button = dict(read.texts).get("button", "")
        kind, text = kind_of(f"press_{button}") if button else kind, None
    elif direction is None and read.texts:
        direction = _direction(read, unnamed=False)
    return ActionCandidate(
        kind,
        point and point.numbers,
        end_point and end_point.numbers,
        text,
        direction,
        start,
        end,
        point.space if point else "",
        point is not None and point.named,
    )


class _Meaning(NamedTuple):
    """What an action's name says: its kind, a direction, whether it goes to its point, and along which axis."""

    kind: str
    direction: str | None
    to_point: bool
    across: bool


@lru_cache(maxsize=1024)
def _meaning(name: str) -> _Meaning:
    bare = name.rsplit(".", 1)[-1]
    joined = bare.replace("_", "").lower()
    directed = _DIRECTED.fullmatch(joined)
    kind = kind_of(directed[1] if directed else _ALIASES.get(joined, bare))
    return _Meaning(kind, directed[2] if directed else None, joined == "dragto", joined.startswith("h"))


def _points(read: Arguments) -> tuple[Place | None, Place | None]:
    """Where the action is or begins, and where it ends."""
    point = end = None
    for name, place in read.places:
        if name in _ENDS:
            end = end or place
        elif point is None:
            point = place
        else:
            end = end or place
    if read.numbers and point is None:
        given = dict(reversed(read.numbers))
        point = _keyed(given, ("x", "y"), ("x1", "y1"), ("startx", "starty"), ("fromx", "fromy"))
        end = end or _keyed(given, ("x2", "y2"), ("endx", "endy"), ("tox", "toy"))
        loose = [number for name, number in read.numbers if not name]
        if point is None and len(loose) >= 2:
            point = Place((loose[0], loose[1]), named=True)  # a function's first two parameters are called x and y
    return point, end


def _keyed(given: dict[str, float], *pairs: tuple[str, str]) -> Place | None:
    return next((Place((given[x], given[y]), named=True) for x, y in pairs if x in given and y in given), None)


def _text(read: Arguments) -> str | None:
    """The text given, or several texts of one name joined as keys are: pressed together."""
    for name, text in read.texts:
        if name in TEXTS or not name:
            same = [other for key, other in read.texts if key == name]
            return text if len(same) == 1 else "+".join(same)
    for name, number in read.numbers:
        if name in TEXTS:
            return str(int(number)) if number.is_integer() else repr(number)
    return None


def _direction(read: Arguments, unnamed: bool) -> str | None:
    for name, text in (*read.texts, *read.words):
        if text and (name in _DIRECTION_NAMES or (unnamed and not name and text.lower() in _DIRECTIONS)):
            return text.lower()
    return None


def _by_sign(read: Arguments, across: bool) -> str | None:
    """Where to, by the sign of the amount: as for pyautogui, up and right are positive."""
    amount = next((n for name, n in read.numbers if name in _AMOUNTS and n), 0.0)
    if not amount:
        return None
    return ("right" if amount > 0 else "left") if across else "up" if amount > 0 else "down"
