"""Pooling by our own lengths, loading what transformers saved, and images that really enter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

from rewardmesh.models.pictures import Eye, ImageError
from rewardmesh.models.reward_model import Reading, RewardModel
from tests.rewards.small_rm import picture, save_seeing

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


@torch.no_grad()
def scores(model: RewardModel, texts: list[list[int]]) -> list[float]:
    return model([Reading(text, 0) for text in texts]).tolist()


def test_scores_are_transformers_own(saved: tuple[Path, PreTrainedModel]) -> None:
    folder, theirs = saved
    texts = sequences(12)
    with torch.no_grad():
        expected = [theirs(input_ids=torch.tensor([t])).logits.item() for t in texts]
    assert scores(RewardModel.load(folder), texts) == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.1  # or the comparison would say nothing


def test_what_is_saved_is_a_sequence_classifier(saved: tuple[Path, PreTrainedModel], tmp_path: Path) -> None:
    folder, theirs = saved
    model = RewardModel.load(folder)
    model.save(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is type(theirs)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(again(input_ids=ids).logits, theirs(input_ids=ids).logits)
    assert scores(RewardModel.load(tmp_path), [[5, 6, 7]]) == scores(model, [[5, 6, 7]])


def test_pooling_does_not_look_at_the_pad_id(saved: tuple[Path, PreTrainedModel]) -> None:
    """A text that ends with the pad token is pooled there, whatever stands beside it in the batch."""
    model = RewardModel.load(saved[0])
    short, long = [5, 6, PAD], [7] * 30
    alone = scores(model, [short])[0]
    assert scores(model, [short, long])[0] == pytest.approx(alone, abs=1e-5)
    assert abs(alone - scores(model, [[5, 6]])[0]) > 1e-3


def test_the_number_of_positions_limits_the_length(saved: tuple[Path, PreTrainedModel]) -> None:
    assert RewardModel.load(saved[0]).max_tokens == SIZES["max_position_embeddings"]


def test_half_precision_on_request(saved: tuple[Path, PreTrainedModel]) -> None:
    model, half = RewardModel.load(saved[0]), RewardModel.load(saved[0], "cpu", "bfloat16")
    assert half.backbone.dtype == torch.bfloat16
    assert scores(half, [[5, 6, 7]]) == pytest.approx(scores(model, [[5, 6, 7]]), abs=0.1)


def test_a_language_model_has_no_head(tmp_path: Path) -> None:
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no head"):
        RewardModel.load(tmp_path)


def test_a_new_head_scores_nothing(saved: tuple[Path, PreTrainedModel]) -> None:
    assert scores(RewardModel.new(saved[0]), sequences(3)) == [0.0, 0.0, 0.0]


def test_a_head_of_another_size_is_refused(saved: tuple[Path, PreTrainedModel]) -> None:
    model = RewardModel.load(saved[0])
    with pytest.raises(ValueError, match="reads 16 numbers and the backbone gives 32"):
        RewardModel(model.backbone, type(model.head).new(16))


def test_absent_weights_are_refused(saved: tuple[Path, PreTrainedModel], tmp_path: Path) -> None:
    saved[1].config.save_pretrained(tmp_path)
    weights = load_file(saved[0] / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"lacks layers\.1\.mlp"):
        RewardModel.load(tmp_path)


def test_pickled_weights_are_refused(saved: tuple[Path, PreTrainedModel], tmp_path: Path) -> None:
    saved[1].config.save_pretrained(tmp_path)
    torch.save(saved[1].state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises((OSError, ValueError), match=r"safetensors|no head"):
        RewardModel.load(tmp_path)


@pytest.mark.parametrize("family", ["qwen2.5", "qwen3"])
def test_images_enter_the_model(tmp_path: Path, family: str) -> None:
    folder = save_seeing(tmp_path, family=family)
    model, eye = RewardModel.load(folder), Eye(folder)
    pad = model.image_token
    assert pad is not None

    def reading(*seeds: int) -> Reading:
        seen = tuple(eye.look(picture(seed)) for seed in seeds)
        ids = [9, 8, *(token for one in seen for token in (7, *[pad] * one.tokens)), 6, 5]
        return Reading(ids, len(ids) - 1, seen)

    with torch.no_grad():
        one, other, both, swapped = (float(model([reading(*seeds)])[0]) for seeds in ((0,), (1,), (0, 1), (1, 0)))
        batch = model([reading(0), Reading([4, 5], 1), reading(0, 1)]).tolist()
    assert len({one, other, both, swapped}) == 4
    assert [batch[0], batch[2]] == pytest.approx([one, both], abs=1e-5)
    model.save(tmp_path / "again")
    with torch.no_grad():
        assert float(RewardModel.load(tmp_path / "again")([reading(0)])[0]) == one


@pytest.mark.parametrize("data", [b"", b"no image", picture()[:60], b"GIF89a" + b"\0" * 20])
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageError, match="image"):
        Eye(save_seeing(tmp_path)).look(data)
