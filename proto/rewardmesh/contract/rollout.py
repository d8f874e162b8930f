"""One completion to be scored, with everything a reward may need to judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rewardmesh.contract.reference import Reference, Size


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A place where an image stands in a message: an index into `Rollout.images`."""

    image: int


Part: TypeAlias = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the prompt: a role ("system", "user", "assistant") and a text or parts."""

    role: str
    content: str | tuple[Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts, whichever way it was given."""
        return (TextPart(self.content),) if isinstance(self.content, str) else self.content


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as encoded bytes (PNG, JPEG, WebP) or as a URI below a root the router allows. Exactly one is set."""

    data: bytes = b""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class AnswerSpace:
    """How the model writes coordinates.

    Attributes:
        kind: "pixels" of the original image, "resized" (pixels of `input_size`), "relative_1000", "relative_999",
            "loc_1024", "percent" or "unit"; for time "seconds" or "percent". Empty when `preset` is given.
        order: "xyxy", "yxyx" or "xywh"; empty for the usual one.
        input_size: The size of the image the model saw, for "resized"; a preset computes it where it is not given.
        preset: A model family ("qwen2.5-vl") that stands for all of the above.
    """

    kind: str = ""
    order: str = ""
    input_size: Size | None = None
    preset: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion to be scored.

    Attributes:
        id: Names the rollout in its verdict. Unique within one message.
        completion: The policy's text. May be empty: that is an answer too.
        prompt: What the policy was asked: a text, or chat messages.
        reference: The ground truth, or None for tasks that need none.
        task: "math", "grounding", ...; empty to have the router classify.
        source: The data set's name, for routing and metrics.
        group: The GRPO group: completions of one prompt share it.
        answer_space: How the model writes coordinates; None: as the reward's options say, else as the reference.
        images: What `ImagePart` points at.
        truncated: The completion hit the length limit.
        policy_version: Which weights wrote it.
        step: The training step, for schedules.
        metadata: Any JSON object; returned to nobody, read by plugins.
    """

    id: str
    completion: str
    prompt: str | tuple[Message, ...] = ""
    reference: Reference | None = None
    task: str = ""
    source: str = ""
    group: str = ""
    answer_space: AnswerSpace | None = None
    images: tuple[Image, ...] = ()
    truncated: bool = False
    policy_version: int | None = None
    step: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt as messages, whichever way it was given; none for an empty text."""
        if isinstance(self.prompt, str):
            return (Message("user", self.prompt),) if self.prompt else ()
        return self.prompt
