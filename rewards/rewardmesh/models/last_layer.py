"""Spares the last layer what nobody reads: its MLP counts only at the tokens that are pooled."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn


@contextmanager
def pooled_only(backbone: nn.Module, rows: Tensor, columns: Tensor) -> Generator[None]:
    """While it lasts, the last layer's MLP is computed at these places [n], [n] of a batch alone.

    The hidden states elsewhere are wrong then, and keys and values are not: those of the last layer come from before
    its MLP. Does nothing for a backbone whose last layer has no MLP of the usual kind.
    """
    mlp = _last_mlp(backbone)
    if mlp is None:
        yield
        return
    whole: list[Tensor] = []

    def narrow(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        whole.append(arguments[0])
        return (arguments[0][rows, columns],)

    def widen(_: nn.Module, __: object, output: Tensor) -> Tensor:
        wide = torch.zeros_like(whole.pop())
        wide[rows, columns] = output
        return wide

    hooks = [mlp.register_forward_pre_hook(narrow), mlp.register_forward_hook(widen)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _last_mlp(backbone: Any) -> nn.Module | None:
    layers = getattr(getattr(backbone, "language_model", backbone), "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if isinstance(layers, nn.ModuleList) and len(layers) else None
    # a mixture of experts routes by token too, but may give more than the hidden states back
    return cast(nn.Module, mlp) if mlp is not None and type(mlp).__name__.endswith("MLP") else None
