"""A Bradley-Terry reward model: a causal backbone, of text or of text and images, and a scalar head."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModel, PreTrainedModel

from rewardmesh.models.head import Head, load_head
from rewardmesh.models.pictures import Picture

# Attention's time grows with the square of the length; nobody waits for a reward longer than this one takes.
MAX_TOKENS = 16384
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One conversation for the model.

    Attributes:
        ids: Its tokens, at least one.
        prompt: How many of them come before the completion.
        pictures: Those whose placeholders are among `ids`, in order.
    """

    ids: Sequence[int]
    prompt: int
    pictures: tuple[Picture, ...] = ()


class RewardModel(nn.Module):
    """Scores token sequences: the head's output on the last token's hidden state.

    The pooling is by our own lengths: transformers pools at the last token that is not the pad token, which is the
    wrong one where sequences end with it.

    Args:
        backbone: A model as `AutoModel` loads it, on whatever device it is to run.
        head: Its head.

    Raises:
        ValueError: The head does not fit the backbone.
    """

    def __init__(self, backbone: PreTrainedModel, head: Head) -> None:
        super().__init__()
        text: Any = backbone.config.get_text_config()
        size = cast(nn.Linear, head.layers[0]).in_features
        if size != text.hidden_size:
            raise ValueError(f"the head reads {size} numbers and the backbone gives {text.hidden_size}")
        self.backbone = backbone
        self.head = head
        self.max_tokens = min(MAX_TOKENS, getattr(text, "max_position_embeddings", MAX_TOKENS))
        self.image_token: int | None = getattr(backbone.config, "image_token_id", None)

    @classmethod
    def load(cls, folder: Path, device: str = "auto", dtype: Dtype = "auto", output: int | None = None) -> RewardModel:
        """Loads a local checkpoint folder, safetensors only, in evaluation mode.

        Args:
            folder: A checkpoint of a sequence classifier, or of a backbone with a value head.
            device: "cpu", "cuda", "cuda:1"; "auto" is the first GPU, if there is one.
            dtype: "auto" is the checkpoint's own on a GPU and float32 on a CPU, which is slower in half precision.
            output: Which of the head's outputs is the score, where it has several.

        Raises:
            OSError: A file is missing.
            ValueError: The checkpoint lacks weights, or they have the wrong shape.
            Exception: Whatever transformers and safetensors raise for damaged files.
        """
        where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        wanted = "auto" if dtype == "auto" and where != "cpu" else getattr(torch, dtype, torch.float32)
        head = load_head(folder, output)
        loaded, info = _backbone(folder, wanted)
        # transformers would go on with random numbers in their place
        if absent := sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]])):
            raise ValueError(f"the checkpoint lacks {', '.join(absent[:3])}{', ...' if absent[3:] else ''}")
        return cls(loaded, head).to(where).eval()

    @classmethod
    def new(cls, base: Path) -> RewardModel:
        """A backbone to be trained, float32, from a local checkpoint of a language model, with a new head."""
        backbone, _ = _backbone(base, torch.float32)
        return cls(backbone, Head.new(cast(Any, backbone.config.get_text_config()).hidden_size))

    def save(self, folder: Path) -> None:
        """Writes configuration and weights: a sequence classifier where transformers has one of this kind.

        Else the backbone's own format and the head beside it, in `head.safetensors`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        last = len(self.head.layers) - 1
        layers = {f"score.{2 * number}" if last else "score": layer for number, layer in enumerate(self.head.layers)}
        head = {
            f"{place}.{name}": tensor for place, layer in layers.items() for name, tensor in layer.state_dict().items()
        }
        config = self.backbone.config
        classifier: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
        if classifier is None:
            self.backbone.save_pretrained(folder)
            save_file(head, folder / "head.safetensors")
            return
        config.architectures, config.num_labels = [classifier.__name__], 1
        config.save_pretrained(folder)
        backbone = {f"{self.backbone.base_model_prefix}.{name}": t for name, t in self.backbone.state_dict().items()}
        save_torch_state_dict(backbone | head, folder)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.backbone.device

    def check_vocabulary(self, size: int) -> None:
        """Raises ValueError for a tokenizer that knows more tokens than the model."""
        known = cast(nn.Embedding, self.backbone.get_input_embeddings()).num_embeddings
        if size > known:
            raise ValueError(f"the tokenizer has {size} tokens and the model {known}: they do not belong together")

    def forward(self, readings: Sequence[Reading]) -> Tensor:
        """Raw scores, float32 [B], of conversations read as one right-padded batch. Differentiable."""
        lengths = torch.tensor([len(reading.ids) for reading in readings], device=self.device)
        hidden = self.hidden(pad([reading.ids for reading in readings]), readings, None)
        return self.head(hidden[torch.arange(len(readings), device=hidden.device), lengths - 1])

    def hidden(self, ids: Tensor, readings: Sequence[Reading], cache: Any) -> Tensor:
        """Hidden states [B, T, size] of right-padded ids [B, T] that begin the readings; fills `cache`, if any.

        Needs no attention mask: the backbone is causal, so that no real token sees the padding behind it.
        """
        ids = ids.to(self.device)
        pictures = [picture for reading in readings for picture in reading.pictures]
        seen: dict[str, Any] = {}
        if pictures:
            patches = torch.cat([picture.patches for picture in pictures])
            seen = {"pixel_values": patches.to(self.device, self.backbone.dtype), "image_grid_thw": _grids(pictures)}
        positions = self.positions(ids, pictures)
        return self.backbone(
            input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=cache is not None, **seen
        ).last_hidden_state

    def positions(self, ids: Tensor, pictures: Sequence[Picture]) -> Tensor:
        """[B, T], or [3, B, T] for time, height and width of a model that sees.

        Always given to it: it would keep them in mutable state between calls.
        """
        if pictures:
            kinds = (ids == self.image_token).int()
            return cast(Any, self.backbone).get_rope_index(ids, kinds, image_grid_thw=_grids(pictures))[0]
        return self._in_a_row(0, ids)

    def next_position(self, reading: Reading, length: int) -> int:
        """The position of the token behind the first so many of a reading, the same on all axes."""
        if not reading.pictures:
            return length
        ids = torch.tensor([reading.ids[:length]], device=self.device)
        return int(self.positions(ids, reading.pictures).max()) + 1

    def _in_a_row(self, first: int, ids: Tensor) -> Tensor:
        found = torch.arange(first, first + ids.shape[1], device=self.device).expand(len(ids), -1)
        return found if self.image_token is None else found.expand(3, -1, -1)

    def read_on(self, ids: Tensor, first: int, cache: Any) -> Tensor:
        """Hidden states [B, T, size] of right-padded ids [B, T] behind what is in the cache, from a position on."""
        ids = ids.to(self.device)
        positions = self._in_a_row(first, ids)
        mask = self._mask(cache.get_seq_length(), ids.shape[1])
        return self.backbone(
            input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache
        ).last_hidden_state

    def _mask(self, before: int, length: int) -> Tensor | None:
        """[1, 1, T, before + T]: 0 where a token sees another, else minus infinity; one for the whole batch.

        None where layers differ in how far they see: the model then makes its own, a wider one.
        """
        kinds = getattr(self.backbone.config.get_text_config(), "layer_types", None) or ["full_attention"]
        if set(kinds) != {"full_attention"}:
            return None
        lowest = torch.finfo(self.backbone.dtype).min
        mask = torch.full((length, before + length), lowest, dtype=self.backbone.dtype, device=self.device)
        return mask.triu(before + 1)[None, None]


def _backbone(folder: Path, dtype: torch.dtype | str) -> tuple[PreTrainedModel, dict[str, Any]]:
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it would report every tensor of the head, which is read elsewhere
    try:
        return AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=dtype,
            output_loading_info=True,
        )
    finally:
        logger.setLevel(level)


def _grids(pictures: Sequence[Picture]) -> Tensor:
    return torch.stack([picture.grid for picture in pictures])


def pad(sequences: Sequence[Sequence[int]]) -> Tensor:
    """Right-pads token sequences to ids [B, T]. Which id pads does not matter, so it is 0."""
    tokens = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return tokens
