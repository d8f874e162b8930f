"""Heads of every layout that public checkpoints have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from rewardmesh.models.head import Head, load_head

SIZE = 8


def tensor(*shape: int) -> Tensor:
    return torch.linspace(-1, 1, int(torch.tensor(shape).prod())).reshape(shape)


ROW, TWO, BIAS = tensor(1, SIZE), tensor(2, SIZE), torch.tensor([0.25])
HIDDEN = tensor(3, SIZE).flip(0)
LINEAR = HIDDEN @ ROW[0]
WIDE, NARROW = tensor(4, SIZE), tensor(1, 4)
TWO_LAYERS = (HIDDEN @ WIDE.T + 0.5).relu() @ NARROW[0] - 1
MLP = {"0.weight": WIDE, "0.bias": torch.full((4,), 0.5), "2.weight": NARROW, "2.bias": torch.tensor([-1.0])}


@pytest.mark.parametrize(
    ("tensors", "output", "expected"),
    [
        ({"score.weight": ROW}, None, LINEAR),
        ({"v_head.summary.weight": ROW, "v_head.summary.bias": BIAS}, None, LINEAR + 0.25),
        ({"v_head.weight": ROW}, None, LINEAR),
        ({"value_head.weight": ROW}, None, LINEAR),
        ({"pretrained_model.score.weight": ROW}, None, LINEAR),
        ({"score.weight": TWO}, 1, HIDDEN @ TWO[1]),
        ({"score.weight": TWO}, 0, HIDDEN @ TWO[0]),
        ({f"score.{name}": t for name, t in MLP.items()}, None, TWO_LAYERS),
        ({f"v_head.{name}": t for name, t in MLP.items()}, None, TWO_LAYERS),
    ],
)
def test_layouts(tmp_path: Path, tensors: dict[str, Tensor], output: int | None, expected: Tensor) -> None:
    backbone = {"model.layers.0.mlp.up_proj.weight": tensor(4, SIZE)}
    save_file({name: t.contiguous() for name, t in (backbone | tensors).items()}, tmp_path / "model.safetensors")
    assert torch.allclose(load_head(tmp_path, output)(HIDDEN), expected, atol=1e-6)


@pytest.mark.parametrize("file", ["value_head.safetensors", "head.safetensors"])
def test_a_head_in_a_file_of_its_own_beside_shards(tmp_path: Path, file: str) -> None:
    save_file({"model.norm.weight": tensor(SIZE)}, tmp_path / "model-00001-of-00001.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}}'
    )
    save_file({"v_head.summary.weight": ROW}, tmp_path / file)
    assert torch.equal(load_head(tmp_path)(HIDDEN), LINEAR)


@pytest.mark.parametrize(
    ("tensors", "output", "message"),
    [
        ({"lm_head.weight": ROW}, None, "no head"),
        ({"score.weight": TWO}, None, "2 outputs"),
        ({"score.weight": TWO}, 2, "number 2"),
        ({"score.weight": TWO}, -1, "number -1"),
        ({"score.weight": tensor(SIZE)}, None, "matrix"),
    ],
)
def test_what_is_no_head(tmp_path: Path, tensors: dict[str, Tensor], output: int | None, message: str) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        load_head(tmp_path, output)


@given(st.floats(-1e3, 1e3, width=16))
def test_it_computes_in_float32_whatever_it_reads(number: float) -> None:
    head = Head.new(2)
    with torch.no_grad():
        next(head.parameters()).fill_(1 / 3)
    score = head.to(torch.bfloat16)(torch.tensor([number, number], dtype=torch.bfloat16))
    assert score.dtype == torch.float32
