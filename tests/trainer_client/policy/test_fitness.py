"""What cannot be trained on-policy is refused, before anything is sampled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rewardmesh.trainer_client.policy.chat_reader import ChatReader
from rewardmesh.trainer_client.policy.policy import Policy
from tests.trainer_client.policy.prompts import asking
from tests.trainer_client.policy.tiny_policies import checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint("qwen2", tmp_path_factory.mktemp("qwen2"))


def _attention_dropout(model: Any) -> None:
    model.model.layers[1].self_attn.attention_dropout = 0.1


def _dropout_module(model: Any) -> None:
    model.model.layers[0].mlp.act_fn = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Dropout(0.1))


def _half(model: Any) -> None:
    model.model.layers[0].to(torch.bfloat16)


def _one_state(model: Any) -> None:
    model.config.layer_types = ["full_attention", "linear_attention"]


def _short_vocabulary(model: Any) -> None:
    model.resize_token_embeddings(280)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_attention_dropout, "without dropout"),
        (_dropout_module, "without dropout"),
        (_half, "master weights must be float32"),
        (_one_state, "linear_attention"),
        (_short_vocabulary, "do not belong together"),
    ],
)
def test_a_model_that_would_learn_another_policy_is_refused(
    folder: Path, spoil: Callable[[Any], None], message: str
) -> None:
    policy = Policy.load(folder, device="cpu")
    spoil(policy.model)
    with pytest.raises(ValueError, match=message):
        Policy(policy.model, policy.reader)


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    """transformers would fill in random ones."""
    file = checkpoint("qwen2", tmp_path) / "model.safetensors"
    weights = load_file(file)
    del weights["model.norm.weight"]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks model\.norm\.weight"):
        Policy.load(tmp_path, device="cpu")


def test_a_picture_for_a_model_of_text_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="reads text only"):
        Policy.load(folder, device="cpu").encode(asking(1, "where?", 1))


def test_a_checkpoint_may_have_several_ends(folder: Path) -> None:
    """Answers are learned with the template's own; the checkpoint's other one ends a completion, too."""
    policy = Policy.load(folder, device="cpu")
    assert policy.ends.tolist() == [2, 0]
    assert policy.eos == 2
    assert not policy.banned[policy.ends].any()


def test_nothing_that_ends_is_refused(folder: Path) -> None:
    class Open:
        closing = (7,)
        specials = MappingProxyType[int, str]({})

    with pytest.raises(ValueError, match="names a token that ends"):
        ChatReader(Open(), None, [])  # pyright: ignore[reportArgumentType] -- no more is read
