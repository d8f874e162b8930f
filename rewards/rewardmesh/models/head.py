"""The scalar head of a reward model, read from any of the layouts that public checkpoints have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import safe_open
from torch import Tensor, nn

# Layer names in the order of their application: transformers' sequence classifiers; TRL's and LLaMA-Factory's value
# heads; OpenRLHF's; two layers with an activation between them (Qwen2.5-Math-RM, WorldPM and others).
_LAYOUTS = (
    ("score",),
    ("v_head.summary",),
    ("v_head",),
    ("value_head",),
    ("score.0", "score.2"),
    ("v_head.0", "v_head.2"),
)
_PREFIXES = ("", "model.", "pretrained_model.")
_INDEX = "model.safetensors.index.json"


class Head(nn.Module):
    """One number from a hidden state, in float32 whatever the state's format.

    Args:
        layers: One linear layer, or two with a ReLU between them.
        output: Which output of the last one is the score.

    Raises:
        ValueError: The last layer has no such output, or several and none is named.
    """

    def __init__(self, layers: list[nn.Linear], output: int | None = None) -> None:
        super().__init__()
        count = layers[-1].out_features
        if output is None and count != 1:
            raise ValueError(f"the head has {count} outputs: say which one is the score (`output`)")
        if not 0 <= (output or 0) < count:
            raise ValueError(f"the head has {count} outputs, and none of number {output}")
        self.layers = nn.ModuleList(layers)
        self.output = output or 0

    @classmethod
    def new(cls, size: int) -> Head:
        """A head without bias that scores every hidden state 0, so that training starts from a tie."""
        layer = nn.Linear(size, 1, bias=False)
        nn.init.zeros_(layer.weight)
        return cls([layer])

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., size] to float32 [...]."""
        hidden = hidden.float()
        for number, layer in enumerate(cast(list[nn.Linear], self.layers)):
            bias = cast(Tensor | None, layer.bias)
            hidden = torch.relu(hidden) if number else hidden
            hidden = nn.functional.linear(hidden, layer.weight.float(), None if bias is None else bias.float())
        return hidden[..., self.output]


def load_head(folder: Path, output: int | None = None) -> Head:
    """The head in a checkpoint's safetensors files.

    Raises:
        OSError: A file is missing.
        ValueError: There is none, or it is of no known layout.
    """
    tensors = _tensors(folder)
    for layout in _LAYOUTS:
        for prefix in _PREFIXES:
            names = [prefix + layer for layer in layout]
            if all(f"{name}.weight" in tensors for name in names):
                return Head([_linear(tensors, name) for name in names], output)
    raise ValueError(f"the checkpoint has no head: none of {', '.join(layout[0] for layout in _LAYOUTS)}")


def _linear(tensors: Mapping[str, Tensor], name: str) -> nn.Linear:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
    if weight.ndim != 2:
        raise ValueError(f"{name}.weight has the shape {list(weight.shape)}; expected a matrix")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def _tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors whose names may be a head's."""
    index = folder / _INDEX
    files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.exists() else set()
    files |= {file.name for file in folder.glob("*.safetensors") if not index.exists() or "head" in file.name}
    found: dict[str, Tensor] = {}
    for name in sorted(files):
        with safe_open(folder / name, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - no mapping
                if any(
                    key.startswith(prefix + layer[0].partition(".")[0] + ".")
                    for prefix in _PREFIXES
                    for layer in _LAYOUTS
                ):
                    found[key] = file.get_tensor(key)
    return found
