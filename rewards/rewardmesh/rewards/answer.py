"""The final answer in a completion: where the policy stopped thinking and what it settled on.

Nothing here knows what an answer looks like; rewards parse the text they get. Every function makes one pass over the
end of its text, so a hostile completion costs no more than a long one, and a long one a few milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

Tags: TypeAlias = tuple[tuple[str, str], ...]
"""What opens a thought and what closes it, for every way of thinking aloud."""

# How models open and close their thinking: most of them, OpenThinker, Kimi-VL.
TAGS: Tags = (
    ("<think>", "</think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
)
# Boxes and tags are looked for in this many characters from the end, some 4000 tokens: what runs on for longer after
# its answer has not settled on it. A scan of that much costs a few milliseconds at worst.
WINDOW = 16 * 1024
_SHORT = 1024
# A conclusion stands near the end; an "answer:" further up belongs to the working.
_ANCHOR_WINDOW = 2000
# Groups: what opens a box, any other brace that opens, one that closes. \{ and \\ are consumed, so they count as text;
# but \\boxed is a box that was escaped twice on its way, and nothing else.
_BRACES = re.compile(r"(\\?\\(?:boxed|fbox)\s*+\{)|\\.|(\{)|(\})", re.DOTALL)
_BOX, _OPEN, _CLOSE = 1, 2, 3
_ANSWER_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_ANCHOR = re.compile(
    r"\banswers?(?:\*\*)?(?: is\b| are\b| (?:would|should|must) be\b|\s?[:：=])|\bfinal answer[* ]{0,4}\n"
    r"|答案(?:应该|应)?(?:\*\*)?(?:是|为|[:：])",
    re.IGNORECASE,
)
# More answers side by side than this are no list of answers.
_MAX_NEIGHBOURS = 16
# A neighbour that begins further away than this is too long to be an answer.
_REACH = 1024
# One piece of what may stand between two answers given side by side, delimiters included.
JOINT = (
    r"[\s,;:.、，。；：=≈/&$|*+~}{()\[\]%％-]|</?answer>|<\|(?:begin|end)_of_box\|>|\b(?:and|or|percent|pct)\b|[或和及与]"
    r"|\\text\s*\{|\\(?:approx|quad|qquad|lor|land|vee|wedge)\b|\\[()\[\],;:! ]|\\"
)
_JOINTS = re.compile(rf"(?:{JOINT})*+", re.IGNORECASE)  # possessive, so that it never backtracks
_OPENING = re.compile(r"(?:\\(?:boxed|fbox)\s*\{|<answer>|<\|begin_of_box\|>)\s*$", re.IGNORECASE)
_SECOND = len(r"\fbox{1}\fbox{")  # no second answer begins before that
_LONGEST_OPENING = 64  # characters of the above, with its white space
_HEADING = "####"  # how GSM8K marks the answer; anywhere but on the last line it is a Markdown heading
_BEFORE = " \t\r\n*:："  # "**Answer:** 42", "the answer is: 42"
_AFTER = " \t\r*.。"  # "the answer is **42**."


class Answer(NamedTuple):  # several are made per rollout, and a tuple takes a third of a frozen dataclass's time
    """A piece of a completion.

    Attributes:
        text: The piece itself, `completion[start:end]`.
        start: Where it begins in the completion, in characters.
        end: Where it ends, exclusive.
    """

    text: str
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands in the completion, as `Score.span` wants it."""
        return self.start, self.end

    def cut(self, start: int, end: int) -> Answer:
        """The part [start, end) of it, without white space at both ends."""
        piece = self.text[start:end]
        text = piece.strip()
        start += self.start
        if len(text) < len(piece):
            start += len(piece) - len(piece.lstrip())
        return Answer(text, start, start + len(text))


def with_tags(more: Iterable[Sequence[str]]) -> Tags:
    """The built-in tags and these pairs of an opening and a closing one.

    Raises:
        ValueError: One is no such pair; the message says which.
    """
    return TAGS + tuple(_pair(pair) for pair in more)


def _pair(pair: object) -> tuple[str, str]:
    match pair:
        case (str(opening), str(closing)) if opening.strip() and closing.strip():
            if closing in opening:  # what opens a thought would end it: unfinished thinking would be an answer
                raise ValueError(f"the closing tag {closing!r} must not be part of the opening one, {opening!r}")
            return opening, closing
        case _:
            raise ValueError(f"thinking must be pairs of tags such as ['<think>', '</think>'], not {pair!r}")


def after_thinking(completion: str, tags: Tags = TAGS) -> Answer | None:
    """What follows the last closed thought; None when a thought is opened and never closed: there is no answer."""
    if len(completion) <= _SHORT:  # most of those have no tags, and `in` sees that sooner than `rfind`
        for opening, close in tags:
            if opening in completion or close in completion:
                break
        else:
            return Answer(completion, 0, len(completion))
    start = 0
    for _, close in tags:
        found = completion.rfind(close, start)
        if found >= 0:
            start = found + len(close)
    text = completion[start:]
    for opening, _ in tags:
        if opening in text:
            return None
    return Answer(text, start, len(completion))


def boxed(answer: Answer) -> Answer | None:
    r"""The content of the last balanced `\boxed{}` (or `\fbox{}`) that is not empty; of nested ones the innermost."""
    text, begin = answer.text, _begin(answer)
    # The last one is mostly whole, and then what stands before it does not matter. A run of backslashes is read from
    # where it begins: every second one of them is text.
    last = max(text.rfind("boxed", begin), text.rfind("fbox", begin))
    if last < 0:
        return None
    while last > begin and text[last - 1] == "\\":
        last -= 1
    return _last_box(answer, last, first=True) or _last_box(answer, begin)


def _last_box(answer: Answer, begin: int, first: bool = False) -> Answer | None:
    """The last balanced box that is not empty in what begins there, or the first of them to close."""
    stack: list[int] = []  # where the content of each open brace begins; -1 for a brace that is no box
    last: tuple[int, int] | None = None
    for token in _BRACES.finditer(answer.text, begin):
        kind = token.lastindex
        if kind == _CLOSE:
            start = stack.pop() if stack else -1
            if start > (last[0] if last else -1) and not _blank(answer.text, start, token.start()):
                last = start, token.start()
                if first:
                    break
        elif kind == _OPEN:
            stack.append(-1)
        elif kind == _BOX:
            stack.append(token.end())
    return answer.cut(*last) if last else None


def tagged(answer: Answer) -> Answer | None:
    """The content of the last `<answer>...</answer>` that is not empty."""
    text, begin = answer.text, _begin(answer)
    if text.rfind("</", begin) < 0:
        return None
    start = -1
    last: Answer | None = None
    for tag in _ANSWER_TAG.finditer(text, begin):
        if not tag[1]:
            start = tag.end()
        elif start >= 0:
            found = answer.cut(start, tag.start())
            last, start = (found if found.text else last), -1
    return last


def begun(answer: Answer) -> Answer | None:
    """The content of the last `<|begin_of_box|>...<|end_of_box|>`, with which GLM-4.1V marks its final answer."""
    text = answer.text
    begin, end = _begin(answer), len(text)
    while (end := text.rfind("<|end_of_box|>", begin, end)) >= 0:
        start = text.rfind("<|begin_of_box|>", begin, end)
        if start < 0:
            return None
        found = answer.cut(start + len("<|begin_of_box|>"), end)
        if found.text:
            return found
        end = start
    return None


def side_by_side(completion: str, find: Callable[[Answer], Answer | None], last: Answer) -> tuple[Answer, ...]:
    """The last answer and those before it that only a joint ("or", a comma, white space) separates from it, in order.

    A later answer replaces an earlier one only when something is said between the two.

    Args:
        completion: The policy's text.
        find: What found the last answer: `boxed`, `begun` or `tagged`.
        last: The last answer, a piece of the completion.
    """
    if last.start < _SECOND:
        return (last,)
    chain = [last]
    while len(chain) <= _MAX_NEIGHBOURS:
        begin = max(0, chain[0].start - _REACH)
        before = Answer(completion[begin : chain[0].start], begin, chain[0].start)
        opening = _OPENING.search(before.text, max(0, len(before.text.rstrip()) - _LONGEST_OPENING))
        if not opening or not opening.start():
            break
        head = before.cut(0, opening.start())
        previous = find(head)
        if previous is None or not _JOINTS.fullmatch(completion, previous.end, head.end):
            break
        chain.insert(0, previous)
    return tuple(chain)


def anchored(answer: Answer) -> Answer | None:
    """What follows the last "the answer is", "Answer:", "答案是", ... near the end, to the end of that line.

    When nothing follows on that line, the next line that is not empty is meant. A last line `#### 42` counts too.
    """
    text = answer.text
    lower = text.lower() if len(text) <= _ANCHOR_WINDOW else text.rstrip()[-_ANCHOR_WINDOW:].lower()
    if "answer" not in lower and "答案" not in lower and _HEADING not in text:  # spares most texts the search
        return None
    text = text.rstrip()
    last_line = text.rfind("\n") + 1
    if text.startswith(_HEADING, last_line):
        start = last_line + len(_HEADING)
    else:
        start = -1
        for anchor in _ANCHOR.finditer(text, max(0, len(text) - _ANCHOR_WINDOW)):
            start = anchor.end()
        if start < 0:
            return None
    while start < len(text) and text[start] in _BEFORE:
        start += 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    while end > start and text[end - 1] in _AFTER:
        end -= 1
    return answer.cut(start, end) if end > start else None


def final_answer(completion: str, tags: Tags = TAGS) -> Answer | None:
    r"""The final answer: after thinking, the last `\boxed{}`, else `<answer>`, else after an anchor; else None."""
    answer = after_thinking(completion, tags)
    if answer is None:
        return None
    return boxed(answer) or tagged(answer) or anchored(answer)


def _begin(answer: Answer) -> int:
    return max(0, len(answer.text) - WINDOW)


def _blank(text: str, start: int, end: int) -> bool:
    return not text[start:end].strip()
