"""Finds the answer in a completion: what `rewardmesh.rewards.answer` finds, or a completion that is nothing else."""

from __future__ import annotations

import re

from rewardmesh.rewards.answer import (
    TAGS,
    WINDOW,
    Answer,
    Tags,
    after_thinking,
    anchored,
    boxed,
    side_by_side,
    tagged,
)
from rewardmesh.rewards.math.guard import MAX_LENGTH
from rewardmesh.rewards.math.last_number import NUMBER, PERCENT, last_number
from rewardmesh.rewards.math.latex import canonical, unwrap, words
from rewardmesh.rewards.math.told import told

# How few-shot prompts and GSM8K's models begin their last line.
_LAST_LINE = "A:"
# Further apart than this, two boxes are never side by side.
_NEAR = 2048
_CHOICE = re.compile(r"\(?[A-J][).:] ?\S")
# Chinese has no spaces: "一共有42个" is no single word.
_HAN_SENTENCE = re.compile(r"[一-鿿]{2,}\d")
# What closes a box and its formula, then a percent sign: `}\%$`, `}$ pct`.
_PERCENT_BEHIND = re.compile(rf"\s*\}}(?:[ \t$*]|\\[)\],;! ])*+(?:{PERCENT})")
# What opens a box in a text that was escaped once too often. Three backslashes are a line break and a box.
_ESCAPED_BOX = re.compile(r"(?<!\\)\\\\(?:boxed|fbox)\s*\{\s*\Z")
# How far before its content a box opens.
_OPENING = 32
# A chat template's next turn, begun by a model that did not stop, and how long it may be.
_TURN = re.compile(r"<\|(?:im_start|im_end|endoftext|eot_id)\|>\s*(?:user|assistant)?\s*$")
_MAX_TURN = 64
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*[.。]?")
# No digit may stand before the formula: it might be another answer.
_ONE_FORMULA = re.compile(
    r"([^\d$\\]*(?:\b(?:[Aa]nswer|is|are|that|[Gg]et|equals)|[:：是为得])\s*)"
    r"(\$\$[^$]+\$\$|\$[^$]+\$|\\\[.+\\\]|\\\(.+\\\))[.。]?",
    re.DOTALL,
)
# "42 is the answer" as the last words of a text. Every word of that sentence must be a known one: another might be one
# of "it is wrong that".
_IS_THE_ANSWER = re.compile(r"\s+(?:is|are) (?:the|our) (?:final |correct )?(?:answer|solution)s?[.。!*\s]*\Z")
_MAX_CLAIM = 64
_LED_TO = (
    r"therefore|thus|hence|so|then|finally|consequently|in conclusion|(?:we (?:see|find|conclude)|it follows) that"
)
_FORMULA = r"\$\$[^$]+\$\$|\$[^$]+\$|\\\((?:(?!\\[()]).)+\\\)|\\\[(?:(?!\\[\[\]]).)+\\\]"
_LAST_SUBJECT = re.compile(
    rf"(?:\A|\n|[.!?]\s|。)\s*+(?:(?i:{_LED_TO}),?\s++)*+\**({_FORMULA}|{NUMBER})\**\Z", re.DOTALL
)
_SAID = re.compile(r"[A-Za-z](?:[A-Za-z,' ]|\$[A-Za-z()]{1,8}\$)* (?:is|are|equals) (\$[^$]+\$|-?\d\S*)")
# Where the answer stops and an aside begins: "42, because ...", "42. I hope so." Never before another answer.
_ALTERNATIVE = r"(?:or|and|maybe|perhaps|possibly|alternatively)\b"
_ASIDE = re.compile(
    rf"[.;]\s++(?!(?i:{_ALTERNATIVE}))(?=[A-Z])|[.。;；]\s*+(?![或和及与也还])(?=[一-鿿])|，(?![或和及与也还])(?=[一-鿿])"
    r"|,\s+(?=(?:which|where|as|so)\b)|,?\s+(?=(?:because|since)\b)"
)


def answers(completion: str, tags: Tags = TAGS, guess: bool = False) -> tuple[Answer, ...]:
    """The final answers, in order: none, one, or several given side by side.

    A later answer replaces an earlier one only when something is said between the two. The text of a boxed answer may
    differ from what stands in the box: by the percent sign behind it, and where everything is escaped once too often.

    Args:
        completion: The policy's text.
        tags: What opens and closes thinking.
        guess: Whether the last number is the answer where there is none.
    """
    rest = after_thinking(completion, tags)
    if rest is None:
        return ()
    if token := _TURN.search(rest.text, max(0, len(rest.text) - _MAX_TURN)):
        rest = Answer(rest.text[: token.start()], rest.start, rest.start + token.start())
    if alone := _lone_box(completion, rest):
        return (_as_meant(completion, alone),)
    if last := _last_box(rest.text, 0, len(rest.text)) >= 0 and boxed(rest):
        return tuple(_as_meant(completion, box) for box in side_by_side(completion, boxed, last))
    if last := tagged(rest):
        return side_by_side(completion, tagged, last)
    found = _anchored(rest) or _last_line(rest) or _whole(rest) or _sentence(rest)
    if found and found.text:
        return (_said_to_be(_without_aside(found)),)
    return (last,) if guess and (last := last_number(rest)) else ()


def _lone_box(completion: str, rest: Answer) -> Answer | None:
    """The box that opens last, if it is an answer with no other box near it: what the general way finds, sooner."""
    text = rest.text
    begin = _last_box(text, 0, len(text))
    if begin < 0 or text[begin - 1 : begin] == "\\" or len(text) - begin > WINDOW:
        return None
    length = next((len(opening) for opening in (r"\boxed{", r"\fbox{") if text.startswith(opening, begin)), 0)
    start = begin + length
    end = text.find("}", start)
    inner = text[start:end]
    if length and end > 0 and inner.strip() and "{" not in inner and inner[-1] != "\\":
        found = rest.cut(start, end)  # most answers have no braces
    else:
        found = boxed(Answer(text[begin:], rest.start + begin, rest.end))
    if found is None or _last_box(completion, max(0, found.start - _NEAR), rest.start + begin) >= 0:
        return None
    return found


def _last_box(text: str, begin: int, end: int) -> int:
    """Where the last box between two places of a text opens; -1 for none."""
    place = text.rfind("box", begin, end)
    if place < 0:
        return -1
    for opening in (r"\boxed", r"\fbox"):
        if text.startswith(opening, place - opening.index("box")):
            return place - opening.index("box")
    return max(text.rfind(r"\boxed", begin, end), text.rfind(r"\fbox", begin, end))


def _as_meant(completion: str, box: Answer) -> Answer:
    text = box.text
    if _ESCAPED_BOX.search(completion, max(0, box.start - _OPENING), box.start):
        text = text.replace(r"\\", "\\")
    if not text.endswith(("%", "％")) and _PERCENT_BEHIND.match(completion, box.end):
        text += "%"
    return box if text is box.text else box._replace(text=text)


def _anchored(rest: Answer) -> Answer | None:
    """What is said to be the answer: "the answer is 42", or in the last sentence "42 is the answer"."""
    ahead = anchored(rest)
    text = rest.text.rstrip()
    claim = _IS_THE_ANSWER.search(text, max(0, len(text) - _MAX_CLAIM))
    subject = claim and _LAST_SUBJECT.search(text, max(0, claim.start() - MAX_LENGTH), claim.start())
    if subject is None:
        return ahead
    found = rest.cut(subject.start(1), subject.end(1))
    return found if ahead is None or ahead.end <= found.start else ahead


def _last_line(rest: Answer) -> Answer | None:
    text = rest.text.rstrip()
    begin = text.rfind("\n") + 1
    if text.startswith(_LAST_LINE, begin):
        return rest.cut(begin + len(_LAST_LINE), len(text))
    bold = _BOLD.fullmatch(text, begin, begin + MAX_LENGTH) if begin else None
    return rest.cut(bold.start(1), bold.end(1)) if bold and bold.end() == len(text) else None


def _whole(rest: Answer) -> Answer | None:
    """The completion itself, if it is one short expression, one word or one marked choice and nothing else."""
    whole = rest.cut(0, len(rest.text))
    if not whole.text or len(whole.text) > MAX_LENGTH or r"\boxed" in whole.text:
        return None
    if "\n" in whole.text and not whole.text.startswith(("$", r"\[", r"\(", r"\begin")):
        return None
    text = canonical(whole.text)
    if (
        unwrap(whole.text) != whole.text
        or _CHOICE.match(text)
        or (len(whole.text.split()) == 1 and not _HAN_SENTENCE.search(text))
        or len(words(text)) <= (1 if text[:1].isdigit() else 0)
    ):
        return whole
    return None


def _sentence(rest: Answer) -> Answer | None:
    """The only formula of a completion that is one short sentence about it: "We find that $x>3$."."""
    match = _ONE_FORMULA.fullmatch(rest.text.strip()) if len(rest.text) <= MAX_LENGTH else None
    if match is None or any(mark in match[2][1:-1] for mark in ("$$", r"\[", r"\(")):
        return None
    begin = len(rest.text) - len(rest.text.lstrip())
    return rest.cut(begin + match.start(2), begin + match.end(2))


def _said_to_be(found: Answer) -> Answer:
    """What an answer in words says it is: "the largest $n$ is 34" is 34, and so is "there are 34 such numbers"."""
    match = _SAID.fullmatch(found.text) if len(found.text) <= MAX_LENGTH else None
    return found.cut(match.start(1), match.end(1)) if match else told(found) or found


def _without_aside(found: Answer) -> Answer:
    match = _ASIDE.search(found.text, 0, 2 * MAX_LENGTH)  # what is longer than that is no answer anyway
    return found.cut(0, match.start()) if match else found
