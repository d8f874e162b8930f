"""How checkpoints look at images: what the language model reads in an image's place, and what the encoder is shown."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from torch import Tensor
from transformers import AutoProcessor, PreTrainedModel

from rewardmesh.models.pictures import Eye, ImageError


@dataclass(frozen=True, slots=True)
class Looked:
    """One image.

    Attributes:
        ids: What stands in its place among the prompt's tokens: placeholders, and marks around them if there are any.
        seen: What the model is given beside the tokens, [images or patches, ...] each.
    """

    ids: Sequence[int]
    seen: Mapping[str, Tensor]


class Looker(Protocol):
    """Reads images for a model.

    Attributes:
        placeholder: The id that the chat template writes where an image stands.
        axes: How many axes positions have.
    """

    @property
    def placeholder(self) -> int: ...
    @property
    def axes(self) -> int: ...

    def look(self, data: bytes) -> Looked:
        """An encoded image. Raises ImageError."""
        ...

    def positions(self, ids: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        """[axes, tokens]: of a prompt's ids, placeholders included."""
        ...


class QwenEye:
    """For models that cut images into grids of patches and rotate by time, height and width: Qwen's since Qwen2-VL."""

    axes = 3

    def __init__(self, folder: Path, model: PreTrainedModel) -> None:
        """Takes the checkpoint's folder, and its model for the positions."""
        self.placeholder = cast(Any, model.config).image_token_id
        self._eye = Eye(folder)
        self._rope_index: Any = cast(Any, model.base_model).get_rope_index

    def look(self, data: bytes) -> Looked:
        """As many placeholders as the projector makes of the patches."""
        picture = self._eye.look(data)
        return Looked(
            [self.placeholder] * picture.tokens,
            {"pixel_values": picture.patches, "image_grid_thw": picture.grid[None]},
        )

    def positions(self, ids: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        """The model's own."""
        kinds = (ids == self.placeholder).int()
        return self._rope_index(ids[None], kinds[None], image_grid_thw=seen["image_grid_thw"])[0][:, 0]


class ByProcessor:
    """For all others (LLaVA and LLaVA-NeXT, say): what the checkpoint's processor makes of an image's token alone.

    Text never goes through it: a prompt that spells the image token would get an image's place.
    """

    axes = 1

    def __init__(self, folder: Path) -> None:
        """Takes the checkpoint's folder.

        Raises:
            OSError: It has no processor.
            ValueError: The processor has no image token.
        """
        self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._token = getattr(self._processor, "image_token", None)
        if not isinstance(self._token, str):
            raise ValueError(f"{type(self._processor).__name__} names no image token")
        self.placeholder: int = self._processor.tokenizer.convert_tokens_to_ids(self._token)

    def look(self, data: bytes) -> Looked:
        """Whatever the processor puts in the place of the image token."""
        try:
            with Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                pixels = image.convert("RGB")
            made = self._processor(text=[self._token], images=[pixels], add_special_tokens=False, return_tensors="pt")
        except (UnidentifiedImageError, OSError, SyntaxError, Pillow.DecompressionBombError) as error:
            raise ImageError(f"an image cannot be read: {error}") from error
        tokens = {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}
        seen = {name: tensor for name, tensor in made.items() if name not in tokens}
        return Looked(made["input_ids"][0].tolist(), seen)

    def positions(self, ids: Tensor, seen: Mapping[str, Tensor]) -> Tensor:
        """In a row."""
        return torch.arange(len(ids))[None]
