"""Pooling by our own lengths, and loading what transformers saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

from rewardmesh.models.reward_model import RewardModel, _passes

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
PAD = 3
FAMILIES = {
    "qwen2": (Qwen2Config, Qwen2ForSequenceClassification),
    "llama": (LlamaConfig, LlamaForSequenceClassification),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreTrainedModel]:
    """A checkpoint as transformers saves it, and the model it was saved from. Weights large enough to tell apart."""
    config, family = FAMILIES[request.param]
    torch.manual_seed(1)
    model = family(config(**SIZES, num_labels=1, pad_token_id=PAD, initializer_range=0.3)).eval()
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return folder, model


def sequences(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 60, (count,), generator=generator).tolist()
    return [torch.randint(4, 64, (n,), generator=generator).tolist() for n in lengths]


def test_scores_are_transformers_own(saved: tuple[Path, PreTrainedModel]) -> None:
    folder, theirs = saved
    texts = sequences(12)
    with torch.no_grad():
        expected = [theirs(input_ids=torch.tensor([t])).logits.item() for t in texts]
    assert RewardModel.load(folder).raw_scores(texts) == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.1  # or the comparison would say nothing


def test_a_batch_scores_as_one_by_one(saved: tuple[Path, PreTrainedModel]) -> None:
    model = RewardModel.load(saved[0])
    texts = sequences(40, seed=2)
    assert model.raw_scores(texts) == pytest.approx([model.raw_scores([t])[0] for t in texts], abs=1e-5)


def test_pooling_does_not_look_at_the_pad_id(saved: tuple[Path, PreTrainedModel]) -> None:
    """A text that ends with the pad token is pooled there, whatever stands beside it in the batch."""
    model = RewardModel.load(saved[0])
    short, long = [5, 6, PAD], [7] * 30
    alone = model.raw_scores([short])[0]
    assert model.raw_scores([short, long])[0] == pytest.approx(alone, abs=1e-5)
    assert abs(alone - model.raw_scores([[5, 6]])[0]) > 1e-3


def test_the_number_of_positions_limits_the_length(saved: tuple[Path, PreTrainedModel]) -> None:
    assert RewardModel.load(saved[0]).max_tokens == SIZES["max_position_embeddings"]


def test_no_text_has_no_score(saved: tuple[Path, PreTrainedModel]) -> None:
    assert RewardModel.load(saved[0]).raw_scores([]) == []


def test_a_language_model_has_no_head(tmp_path: Path) -> None:
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks score\.weight|one output"):
        RewardModel.load(tmp_path)


def test_a_checkpoint_without_its_head_is_refused(tmp_path: Path) -> None:
    LlamaForCausalLM(LlamaConfig(**SIZES, num_labels=1)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks score\.weight"):
        RewardModel.load(tmp_path)


def test_several_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="one output"):
        RewardModel(Qwen2ForSequenceClassification(Qwen2Config(**SIZES, num_labels=2)))


def test_pickled_weights_are_refused(saved: tuple[Path, PreTrainedModel], tmp_path: Path) -> None:
    saved[1].config.save_pretrained(tmp_path)
    torch.save(saved[1].state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        RewardModel.load(tmp_path)


@given(st.lists(st.integers(1, 100)), st.integers(1, 300))
def test_passes_hold_every_index_once_within_the_budget(lengths: list[int], budget: int) -> None:
    passes = list(_passes(lengths, budget))
    assert sorted(i for p in passes for i in p) == list(range(len(lengths)))
    assert all(len(p) == 1 or len(p) * max(lengths[i] for i in p) <= budget for p in passes)
