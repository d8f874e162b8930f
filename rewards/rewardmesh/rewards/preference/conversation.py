"""A rollout as a reward model sees it: the conversation, or why there is nothing to read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from rewardmesh.contract import ImagePart, InvalidRolloutError, Part, Rollout, Score
from rewardmesh.models.chat import Content, ImageSlot, Turn
from rewardmesh.rewards.answer import Tags, after_thinking
from rewardmesh.rewards.preference.checkpoint import Conversation

# Prose shrinks to about half, tables and code to a fifth; what shrinks to less repeats itself ten times and more.
_REPEATED = 0.08
_MIN_LENGTH = 400


def conversation(rollout: Rollout, tags: Tags) -> Conversation | Score:
    """What the model reads: the prompt, its images, and the completion without its thinking.

    A completion that shows nothing, or nothing but repetition, is a Score of 0.

    Raises:
        InvalidRolloutError: An image is named that is not there, or is given by its address alone.
    """
    answer = after_thinking(rollout.completion, tags)
    if answer is None:
        return Score(0.0, "no_answer", "The completion ends before its thinking does.")
    text = answer.text.strip()
    if not any(c.isprintable() and not c.isspace() for c in text):
        return Score(0.0, "empty", "The completion shows nothing to a reader.")
    if degenerate(text):
        return Score(0.0, "degenerate", "The completion repeats itself and says nothing else.")
    if any(image.uri for image in rollout.images):
        raise InvalidRolloutError("an image is given by its uri; a reward model needs its bytes")
    turns: list[Turn] = [(turn.role, _content(turn.parts, rollout)) for turn in rollout.messages]
    turns = _all_shown(turns, len(rollout.images))
    return Conversation(turns, text, tuple(image.data for image in rollout.images))


def degenerate(text: str) -> bool:
    """Whether a text is little more than one phrase over and over."""
    data = text.encode(errors="surrogatepass")
    return len(data) >= _MIN_LENGTH and len(zlib.compress(data, 1)) < _REPEATED * len(data)


def _content(parts: Sequence[Part], rollout: Rollout) -> Content:
    found: list[str | ImageSlot] = []
    for part in parts:
        if not isinstance(part, ImagePart):
            found.append(part.text)
        elif 0 <= part.image < len(rollout.images):
            found.append(ImageSlot(part.image))
        else:
            raise InvalidRolloutError(f"the prompt names image {part.image}; there are {len(rollout.images)}")
    return found


def _all_shown(turns: list[Turn], images: int) -> list[Turn]:
    """Puts images that no turn names before the text of the last turn, as they are sent with a plain prompt."""
    named = {part.image for _, parts in turns for part in parts if isinstance(part, ImageSlot)}
    missing = [ImageSlot(image) for image in range(images) if image not in named]
    if not missing:
        return turns
    role, parts = turns[-1] if turns else ("user", ())
    return [*turns[:-1], (role, [*missing, *parts])]
