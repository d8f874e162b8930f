"""A Bradley-Terry reward model over text: a causal backbone and a scalar head on its last token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

# Padded tokens in one forward pass. Small passes of like lengths waste the least padding, and a CPU gains nothing from
# larger ones.
TOKEN_BUDGET = 4096
# Attention's time grows with the square of the length; nobody waits for a reward longer than this one takes.
MAX_TOKENS = 16384


class RewardModel(nn.Module):
    """Scores token sequences with a transformers sequence classifier that has one label and a head named `score`.

    The pooling is ours: transformers pools at the last token that is not the pad token, which is the wrong one where
    sequences end with it. Any checkpoint saved by `AutoModelForSequenceClassification(num_labels=1)` fits.

    Args:
        classifier: The model, on whatever device it is to run.

    Raises:
        ValueError: It has no scalar head named `score`.
    """

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        head = getattr(classifier, "score", None)
        if not isinstance(head, nn.Linear) or head.out_features != 1:
            raise ValueError(f"{type(classifier).__name__} has no head `score` with one output")
        self.classifier = classifier
        self.max_tokens = min(MAX_TOKENS, getattr(classifier.config, "max_position_embeddings", MAX_TOKENS))

    @classmethod
    def load(cls, folder: Path) -> RewardModel:
        """Loads a local checkpoint folder, safetensors only, in evaluation mode, on the GPU where there is one.

        Raises:
            OSError: A file is missing.
            ValueError: The checkpoint lacks weights (of the head, say), or they have the wrong shape.
            Exception: Whatever transformers and safetensors raise for damaged files.
        """
        cuda = torch.cuda.is_available()
        loaded, info = AutoModelForSequenceClassification.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype="auto" if cuda else torch.float32,  # a CPU is slower in half precision
            output_loading_info=True,
        )
        # transformers would go on with random numbers in their place
        if absent := sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]])):
            raise ValueError(f"the checkpoint lacks {', '.join(absent[:3])}{', ...' if absent[3:] else ''}")
        classifier = cast(PreTrainedModel, loaded)
        return cls(classifier.to("cuda" if cuda else "cpu")).eval()  # pyright: ignore[reportArgumentType] - stub lacks str

    def check_vocabulary(self, size: int) -> None:
        """Raises ValueError for a tokenizer that knows more tokens than the model."""
        known = cast(nn.Embedding, self.classifier.get_input_embeddings()).num_embeddings
        if size > known:
            raise ValueError(f"the tokenizer has {size} tokens and the model {known}: they do not belong together")

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Raw scores, float32 [B], of right-padded ids [B, T] with their lengths [B].

        Needs no attention mask: the backbone is causal, so that no real token sees the padding behind it.
        """
        backbone = self.classifier.base_model
        hidden = backbone(input_ids=tokens, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(tokens), device=hidden.device), lengths - 1]
        head = cast(nn.Linear, self.classifier.score)
        return nn.functional.linear(last.float(), head.weight.float(), _float(head.bias)).squeeze(-1)

    @torch.no_grad()
    def raw_scores(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """The raw score of every sequence, in order, computed in passes of like lengths."""
        scores = [0.0] * len(sequences)
        for indices in _passes([len(s) for s in sequences], TOKEN_BUDGET):
            tokens, lengths = pad([sequences[i] for i in indices])
            device = self.classifier.device
            for index, score in zip(indices, self(tokens.to(device), lengths.to(device)).tolist(), strict=True):
                scores[index] = score
        return scores


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Right-pads token sequences: ids [B, T] and their lengths [B]. Which id pads does not matter, so it is 0."""
    lengths = torch.tensor([len(s) for s in sequences])
    tokens = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return tokens, lengths


def _passes(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Splits indices, sorted by length, into batches of at most `budget` padded tokens, or a single one."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _float(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.float()
