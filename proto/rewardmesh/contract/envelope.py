"""A rollout as it came over the wire: what the router reads of it, and the message it passes on untouched."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rewardmesh.contract.codec import decode_rollout, encode_rollout
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure
from rewardmesh.v1 import reward_pb2 as pb

# The names of reference types in the JSON form are the names of the fields of the oneof on the wire.
_FREE = "free"
# The fields of a Rollout that have another name on the wire.
_ON_THE_WIRE = {"prompt": ("prompt", "messages"), "metadata": ("metadata_json",)}
_OPTIONAL = frozenset(field.name for field in pb.Rollout.DESCRIPTOR.fields if field.has_presence)


class Envelope:
    """A rollout's message with the few fields the router needs, read without decoding the rest.

    Attributes:
        message: As it came; only `classified` changes it.
        size: Its bytes, as it came.
        id: The rollout's; empty where it has none.
        task: Likewise.
    """

    __slots__ = ("id", "message", "size", "task")

    def __init__(self, message: pb.Rollout) -> None:
        self.message = message
        self.size = message.ByteSize()
        self.id = message.id  # these two are read many times, and each time from the message is a new text
        self.task = message.task

    @classmethod
    def seal(cls, rollout: Rollout) -> Envelope:
        """The envelope of a rollout made on this side. Raises as `encode_rollout` does."""
        return cls(encode_rollout(rollout))

    def open(self) -> Rollout:
        """The rollout. Raises as `decode_rollout` does."""
        return decode_rollout(self.message)

    @property
    def source(self) -> str:
        return self.message.source

    @property
    def group(self) -> str:
        return self.message.group

    @property
    def reference_type(self) -> str:
        """The reference's type as the JSON form names it; empty without one."""
        kind = self.message.reference.WhichOneof("kind") if self.message.HasField("reference") else None
        return self.message.reference.free.type if kind == _FREE else kind or ""

    def prompt_text(self) -> str:
        """All text of the prompt, one line per part."""
        if not self.message.messages:
            return self.message.prompt
        texts: list[str] = []
        for message in self.message.messages:
            texts.append(message.text)
            texts.extend(part.text for part in message.parts)
        return "\n".join(text for text in texts if text)

    def inputs(self, fields: Sequence[str]) -> bytes:
        """The serialised message with these fields alone, named as `wire_fields` does.

        The same bytes for all rollouts that cannot be told apart by them.
        """
        message = self.message
        read = {name: getattr(message, name) for name in fields if name not in _OPTIONAL or message.HasField(name)}
        return pb.Rollout(**read).SerializeToString(deterministic=True)

    def classified(self, task: str) -> Envelope:
        """This envelope with the task written in."""
        if self.task != task:
            self.message.task = self.task = task
        return self


def wire_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """The fields of the message that hold these of a Rollout. Raises ValueError for one that no Rollout has."""
    known = [field.name for field in dataclasses.fields(Rollout)]
    for field in fields:
        if field not in known:
            raise ValueError(f"no such field of a rollout: {field!r}; known: {', '.join(known)}")
    return tuple(name for field in known if field in fields for name in _ON_THE_WIRE.get(field, (field,)))


def batch_to_bytes(envelopes: Sequence[Envelope], timeout: float) -> bytes:
    """A batch for one reward: a serialised ScoreRequest with the seconds left to score it."""
    request = pb.ScoreRequest(rollouts=[e.message for e in envelopes])
    request.options.timeout_seconds = timeout
    return request.SerializeToString()


def batch_from_bytes(data: bytes) -> tuple[list[Envelope], float]:
    """The batch and the seconds left to score it."""
    request = pb.ScoreRequest.FromString(data)
    return [Envelope(m) for m in request.rollouts], request.options.timeout_seconds


def open_all(envelopes: Sequence[Envelope]) -> list[Rollout | Failure]:
    """Opens every envelope; one with the wrong shape becomes its own Failure."""
    opened: list[Rollout | Failure] = []
    for envelope in envelopes:
        try:
            opened.append(decode_rollout(envelope.message))
        except (InvalidRolloutError, InvalidReferenceError) as error:
            opened.append(Failure.from_error(error))
    return opened
