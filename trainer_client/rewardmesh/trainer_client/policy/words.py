"""Speaks for the tiny model: words as tokens, images as patches, a marker for each turn."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from rewardmesh.contract import Image, TextPart
from rewardmesh.models.patches import PatchShape, patchify
from rewardmesh.models.word_tokenizer import ASSISTANT, EOS, IMAGE, PAD, USER, WordTokenizer
from rewardmesh.trainer_client.policy.encoded import Encoded
from rewardmesh.trainer_client.rollout import Prompt


class Words:
    """A `Reader` for Qwen-VL models with a vocabulary of words.

    Attributes:
        tokenizer: Words to ids and back.
    """

    def __init__(self, tokenizer: WordTokenizer, patch: PatchShape) -> None:
        """Takes a tokenizer, and the shape of the patches that the vision encoder reads."""
        self.tokenizer = tokenizer
        self._patch = patch

    @property
    def eos(self) -> int:
        """The tokenizer's."""
        return self.tokenizer.specials[EOS]

    @property
    def ends(self) -> Sequence[int]:
        """EOS alone."""
        return [self.eos]

    @property
    def pad(self) -> int:
        """The tokenizer's."""
        return self.tokenizer.specials[PAD]

    @property
    def known(self) -> int:
        """The tokenizer's length."""
        return len(self.tokenizer)

    @property
    def special(self) -> Sequence[int]:
        """Everything that has no spelling."""
        return list(self.tokenizer.specials.values())

    def encode(self, prompt: Prompt) -> Encoded:
        """A marker per turn, and one for the completion to come."""
        specials = self.tokenizer.specials
        pieces: list[list[int] | Tensor] = []
        for message in prompt.messages:
            pieces.append([specials[USER if message.role == "user" else ASSISTANT]])
            for part in message.parts:
                if isinstance(part, TextPart):
                    pieces.append(self.tokenizer.encode(part.text))
                else:
                    pieces.append(_pixels(prompt.images[part.image]))
        pieces.append([specials[ASSISTANT]])
        return encode_pieces(pieces, specials[IMAGE], self._patch)

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text; see `WordTokenizer.encode`."""
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return self.tokenizer.decode(ids)


def encode_pieces(pieces: Sequence[Sequence[int] | Tensor], image_token: int, shape: PatchShape) -> Encoded:
    """Puts a prompt together.

    Args:
        pieces: Token ids, and images ([3, height, width], uint8), in reading order.
        image_token: The placeholder token.
        shape: The vision encoder's patch shape.

    Raises:
        ValueError: An image's side does not fit the patches, or text holds the placeholder token.
    """
    ids: list[int] = []
    positions: list[Tensor] = []
    patches: list[Tensor] = []
    grids: list[list[int]] = []
    here = 0
    for piece in pieces:
        if isinstance(piece, Tensor):
            rows, columns = (side // (shape.size * shape.merge) for side in piece.shape[1:])
            patches.append(patchify(piece, shape))
            grids.append([1, rows * shape.merge, columns * shape.merge])
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            positions.append(torch.stack([torch.zeros_like(row), row, column]).reshape(3, -1) + here)
            ids += [image_token] * (rows * columns)
            here += max(rows, columns)  # an image takes as many positions as its longer side (Qwen2-VL, section 2.1)
        else:
            if image_token in piece:
                raise ValueError("a prompt's text holds the image placeholder token")
            positions.append(torch.arange(here, here + len(piece)).expand(3, -1))
            ids += piece
            here += len(piece)
    seen = {"pixel_values": torch.cat(patches), "image_grid_thw": torch.tensor(grids)} if patches else {}
    return Encoded(torch.tensor(ids), torch.cat(positions, dim=1), here, seen)


def _pixels(image: Image) -> Tensor:
    """[3, height, width], uint8."""
    with Pillow.open(io.BytesIO(image.data)) as opened:
        return torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)
