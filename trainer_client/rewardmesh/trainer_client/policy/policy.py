"""The model being trained, with the reader that speaks for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rewardmesh.models.patches import PatchShape
from rewardmesh.models.tiny_vlm import tiny_vlm
from rewardmesh.models.word_tokenizer import IMAGE, WordTokenizer
from rewardmesh.trainer_client.policy.encoded import Encoded, Reader
from rewardmesh.trainer_client.policy.fitness import check_fitness, vocabulary
from rewardmesh.trainer_client.policy.loading import load
from rewardmesh.trainer_client.policy.parts import PARTS, PartRates, check_parts, part_of
from rewardmesh.trainer_client.policy.reading import Reading, extend, read
from rewardmesh.trainer_client.policy.words import Words
from rewardmesh.trainer_client.rollout import Prompt

Compute: TypeAlias = Literal["float32", "bfloat16"]

# Prompts that are kept as the model reads them: a step of most runs. A large picture takes some 20 MB.
_KEPT = 64


class Policy:
    """A language model or vision-language model, its reader, and the version of its weights.

    Attributes:
        model: All of its parameters are trained. Its weights are float32, whatever it computes in.
        reader: Prompts to ids, ids to text.
        version: How many optimizer steps the weights have seen. Rollouts carry it.
        eos: The id that ends an answer.
        ends: [n], int64: all ids that end a completion; `eos` is one of them.
        pad: The id that fills up what follows.
        banned: [vocabulary], bool: ids that no completion may hold. See `log_softmax`.
    """

    def __init__(self, model: PreTrainedModel, reader: Reader, compute: Compute = "float32") -> None:
        """Takes a model and its reader; `compute` is what matrices are multiplied in.

        Raises:
            ValueError: The model cannot be trained on-policy; see `check_fitness`.
        """
        check_fitness(model, reader)
        check_parts((name for name, _ in model.named_parameters()), hasattr(model.config, "vision_config"))
        self.model = model
        self.reader = reader
        self.version = 0
        self.eos = reader.eos
        self.pad = reader.pad
        self.ends = torch.tensor(list(reader.ends), device=model.device)
        self._compute = getattr(torch, compute)
        self._encoded: dict[int, tuple[Prompt, Encoded]] = {}
        size = vocabulary(model)
        allowed = torch.arange(size) < reader.known
        allowed[[i for i in reader.special if i < size]] = False
        allowed[list(reader.ends)] = True
        self.banned = ~allowed.to(model.device)

    @classmethod
    def tiny(cls, words: Sequence[str], seed: int) -> Policy:
        """An untrained tiny Qwen3-VL with a tokenizer for these words."""
        tokenizer = WordTokenizer(words)
        model = tiny_vlm(len(tokenizer), tokenizer.specials[IMAGE], seed)
        vision: Any = model.config.vision_config
        return cls(model, Words(tokenizer, PatchShape(vision.patch_size, vision.spatial_merge_size)))

    @classmethod
    def load(cls, folder: Path, compute: Compute = "float32", device: str = "auto") -> Policy:
        """A checkpoint folder of any causal language model or vision-language model that transformers knows.

        Args:
            folder: Configuration, safetensors, `tokenizer.json`, and a processor where the model sees.
            compute: "bfloat16" multiplies matrices in it; weights and log-probabilities stay float32.
            device: "cpu", "cuda", "cuda:1"; "auto" is the first GPU, if there is one.

        Raises:
            OSError: A file is missing.
            ValueError: The checkpoint lacks weights, or cannot be trained on-policy.
        """
        where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        model, reader = load(folder)
        return cls(cast(Any, model).to(where), reader, compute)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def encode(self, prompt: Prompt) -> Encoded:
        """The prompt as the model reads it, up to where its completion begins.

        Training asks for what generation has just asked for: the last few are kept.
        """
        known = self._encoded.pop(id(prompt), None)
        encoded = known[1] if known is not None and known[0] is prompt else self.reader.encode(prompt)
        self._encoded[id(prompt)] = (prompt, encoded)
        if len(self._encoded) > _KEPT:
            del self._encoded[next(iter(self._encoded))]
        return encoded

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, without special tokens."""
        return self.reader.decode(ids)

    def answer_ids(self, text: str) -> list[int]:
        """An answer to learn, EOS included."""
        return [*self.reader.text_ids(text), self.eos]

    def read(self, prompts: Sequence[Encoded]) -> Reading:
        """Reads prompts, up to where their completions start."""
        with self.computing():
            return read(self.model, prompts, self.pad)

    def extend(self, reading: Reading, ids: Tensor, mask: Tensor) -> Tensor:
        """Reads on; see `rewardmesh.trainer_client.policy.reading.extend`."""
        with self.computing():
            return extend(self.model, reading, ids, mask)

    def computing(self) -> AbstractContextManager[Any]:
        """Where matrices are multiplied in the policy's precision. Entered once, it casts each weight once."""
        if self._compute == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self._compute)

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Log-probabilities over the vocabulary, at temperature 1, in float32.

        Special tokens other than those that end a completion have probability 0, in sampling and training alike, as
        have ids without a token: a sampled image placeholder would ask for an image that is not there.
        """
        return torch.log_softmax(logits.float().masked_fill(self.banned, -torch.inf), dim=-1)

    def parameter_groups(self, rates: PartRates) -> list[dict[str, Any]]:
        """The model's parameters for an optimizer, a group per part; freezes parts that have no rate."""
        groups: list[dict[str, Any]] = []
        for part in PARTS:
            rate = rates.of(part)
            members: list[nn.Parameter] = [p for name, p in self.model.named_parameters() if part_of(name) == part]
            for parameter in members:
                parameter.requires_grad_(rate is not None)
            if members and rate is not None:
                groups.append({"params": members, "lr": rate, "part": part})
        return groups
