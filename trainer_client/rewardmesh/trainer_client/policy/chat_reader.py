"""Speaks for a checkpoint: its tokenizer, its chat template, and its eye if it has one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rewardmesh.contract import TextPart
from rewardmesh.models.chat import ChatTokenizer, ImageSlot, Turn
from rewardmesh.trainer_client.policy.encoded import Encoded, end_to_end
from rewardmesh.trainer_client.policy.looking import Looker
from rewardmesh.trainer_client.rollout import Prompt


class ChatReader:
    """A `Reader` of a checkpoint's own files.

    Attributes:
        eos: What the template writes behind an answer, if that is a special token; else the checkpoint's first EOS.
        ends: That, and all the checkpoint's.
        pad: An id that is no image placeholder; the model never sees it.
        known: One more than the largest token id.
        special: The tokenizer's special tokens, and those that the model's configuration names.
    """

    def __init__(
        self, chat: ChatTokenizer, looker: Looker | None, ends: Sequence[int], placeholders: Sequence[int] = ()
    ) -> None:
        """Takes a tokenizer and its template.

        Args:
            chat: The tokenizer.
            looker: Reads images; None for a model of text.
            ends: Ids that end a completion.
            placeholders: Further ids that are no text.

        Raises:
            ValueError: Nothing ends a completion.
        """
        closing = [i for i in chat.closing[:1] if i in chat.specials]
        self.ends = list(dict.fromkeys([*closing, *ends]))
        if not self.ends:
            raise ValueError("neither the checkpoint nor its chat template names a token that ends a completion")
        self.eos = self.ends[0]
        self.special = sorted({*chat.specials, *placeholders})
        self.known = chat.size
        self.pad = self.eos
        self._chat = chat
        self._looker = looker

    def encode(self, prompt: Prompt) -> Encoded:
        """The prompt in the chat template, up to where the assistant's answer begins.

        Raises:
            TemplateError: The template refuses such a conversation.
            ImageError: An image cannot be read.
            ValueError: It has images and the model is blind.
        """
        turns = _turns(prompt)
        order = [part.image for _, parts in turns for part in parts if isinstance(part, ImageSlot)]
        if not order:
            ids = torch.tensor(self._chat.open(turns))
            axes = self._looker.axes if self._looker else 1
            return Encoded(ids, torch.arange(len(ids)).expand(axes, -1), len(ids))
        if self._looker is None:
            raise ValueError(f"prompt {prompt.id!r} has images, and the policy reads text only")
        looked = {image: self._looker.look(prompt.images[image].data) for image in dict.fromkeys(order)}
        shown = [looked[i].ids if i in looked else [] for i in range(len(prompt.images))]
        ids = torch.tensor(self._chat.open(turns, shown))
        seen = end_to_end([looked[image].seen for image in order])
        positions = self._looker.positions(ids, seen)
        return Encoded(ids, positions, int(positions.max()) + 1, seen)

    def compact(self, prompt: Prompt) -> list[int]:
        """The same with one placeholder for each image, for engines that look at images themselves."""
        placeholder = [] if self._looker is None else [self._looker.placeholder]
        return self._chat.open(_turns(prompt), [placeholder] * len(prompt.images))

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text."""
        return self._chat.text_ids(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return self._chat.decode(ids)


def _turns(prompt: Prompt) -> list[Turn]:
    return [
        (message.role, [part.text if isinstance(part, TextPart) else ImageSlot(part.image) for part in message.parts])
        for message in prompt.messages
    ]
