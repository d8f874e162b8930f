"""The model being trained, with the tokenizer that speaks for it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn
from transformers import Qwen3VLForConditionalGeneration

from rewardmesh.contract import Image, TextPart
from rewardmesh.models.patches import PatchShape
from rewardmesh.models.tiny_vlm import tiny_vlm
from rewardmesh.models.vlm_prompt import VlmPrompt, encode_prompt
from rewardmesh.models.vlm_reading import Reading, extend, read_prompts
from rewardmesh.models.word_tokenizer import ASSISTANT, EOS, IMAGE, PAD, USER, WordTokenizer
from rewardmesh.trainer_client.rollout import Prompt


class Policy:
    """A Qwen3-VL model, its tokenizer, and the version of its weights.

    Attributes:
        model: All of its parameters are trained.
        tokenizer: Text to ids and back.
        version: How many optimizer steps the weights have seen. Rollouts carry it.
        eos: The id that ends a completion.
        ends: [n], int64: all ids that do; `eos` is one of them.
        pad: The id that fills up what follows.
    """

    def __init__(self, model: Qwen3VLForConditionalGeneration, tokenizer: WordTokenizer) -> None:
        """Takes a model and its tokenizer.

        Raises:
            ValueError: The model has dropout, which would make training see another policy than the one that sampled.
        """
        if any(_dropout(module) for module in model.modules()):
            raise ValueError("on-policy training needs a model without dropout")
        self.model = model
        self.tokenizer = tokenizer
        self.version = 0
        self.eos = tokenizer.specials[EOS]
        self.ends = torch.tensor([self.eos])
        self.pad = tokenizer.specials[PAD]
        banned = [i for name, i in tokenizer.specials.items() if name != EOS]
        self._banned = torch.zeros(len(tokenizer), dtype=torch.bool).index_fill(0, torch.tensor(banned), True)
        self._patch = PatchShape(model.model.visual.patch_size, model.model.visual.spatial_merge_size)

    @classmethod
    def tiny(cls, words: Sequence[str], seed: int) -> Policy:
        """An untrained tiny model with a tokenizer for these words."""
        tokenizer = WordTokenizer(words)
        specials = tokenizer.specials
        return cls(tiny_vlm(len(tokenizer), specials[IMAGE], seed), tokenizer)

    def encode(self, prompt: Prompt) -> VlmPrompt:
        """The prompt as the model reads it: a marker per turn, and one for the completion to come."""
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
        return encode_prompt(pieces, specials[IMAGE], self._patch)

    def read(self, prompts: Sequence[VlmPrompt]) -> Reading:
        """Reads prompts, up to where their completions start."""
        return read_prompts(self.model, prompts)

    def extend(self, reading: Reading, ids: Tensor, mask: Tensor) -> Tensor:
        """Reads on; see `rewardmesh.models.vlm_reading.extend`."""
        return extend(self.model, reading, ids, mask)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, without special tokens."""
        return self.tokenizer.decode(ids)

    def answer_ids(self, text: str) -> list[int]:
        """An answer to learn, EOS included."""
        return [*self.tokenizer.encode(text), self.eos]

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Log-probabilities over the vocabulary, at temperature 1, in float32.

        Special tokens other than EOS have probability 0, in sampling and training alike: a sampled image placeholder
        would ask for an image that is not there.
        """
        return torch.log_softmax(logits.float().masked_fill(self._banned, -torch.inf), dim=-1)


def _dropout(module: nn.Module) -> bool:
    return bool(module.p) if isinstance(module, nn.Dropout) else bool(getattr(module, "attention_dropout", 0.0))


def _pixels(image: Image) -> Tensor:
    """[3, height, width], uint8."""
    with Pillow.open(io.BytesIO(image.data)) as opened:
        return torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)
