"""Golden scores: a checkpoint that no longer computes what it did is found out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rewardmesh.rewards.preference.checkpoint import Checkpoint, Conversation
from rewardmesh.rewards.preference.golden import GoldenError, check_golden, golden_conversations, write_golden
from tests.rewards.small_rm import save_seeing, save_text


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def written(folder: Path) -> Path:
    """The folder, with golden scores."""
    checkpoint = Checkpoint(folder)
    write_golden(checkpoint, golden_conversations(checkpoint.sees))
    return folder


@pytest.fixture(scope="module", params=["text", "seeing"])
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written((save_text if request.param == "text" else save_seeing)(tmp_path_factory.mktemp(request.param)))


@pytest.fixture
def copy(golden: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil."""
    return Path(shutil.copytree(golden, tmp_path / "copy"))


def edit(file: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def test_an_unchanged_checkpoint_passes(golden: Path) -> None:
    check_golden(Checkpoint(golden))


def test_half_precision_passes(golden: Path) -> None:
    check_golden(Checkpoint(golden, dtype="bfloat16"))


def test_a_folder_without_golden_scores_passes(copy: Path) -> None:
    (copy / "golden.json").unlink()
    check_golden(Checkpoint(copy))


def test_what_is_written(golden: Path) -> None:
    rows = json.loads((golden / "golden.json").read_text())["conversations"]
    sees = Checkpoint(golden).sees
    assert len(rows) == len(golden_conversations(sees))
    assert any("<|im_end|>" in row["completion"] for row in rows)
    assert any(row.get("images") for row in rows) == sees
    assert all(row["ids"] and isinstance(row["score"], float) for row in rows)


def test_a_changed_weight_is_found(copy: Path) -> None:
    for file in copy.glob("*.safetensors"):
        changed = {
            name: t * 1.05 if "down_proj" in name or "score" in name else t for name, t in load_file(file).items()
        }
        save_file(changed, file, {"format": "pt"})
    with pytest.raises(GoldenError, match=r"conversation 0: expected the score"):
        check_golden(Checkpoint(copy))


def test_a_changed_template_is_found(tmp_path: Path) -> None:
    copy = written(save_text(tmp_path))
    template = "{% for message in messages %}{{ message.role }}: {{ message.content }}<|im_end|>{% endfor %}"
    (copy / "chat_template.jinja").write_text(template)
    with pytest.raises(GoldenError, match=r"token ids differ from position 0 on"):
        check_golden(Checkpoint(copy))


def test_a_changed_tokenizer_is_found(copy: Path) -> None:
    def forget_merges(tokenizer: Any) -> None:
        tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:20]

    edit(copy / "tokenizer.json", forget_merges)
    with pytest.raises(GoldenError, match=r"token ids differ from position \d+ on: expected \["):
        check_golden(Checkpoint(copy))


def test_a_changed_image_processor_is_found(tmp_path: Path) -> None:
    copy = written(save_seeing(tmp_path))
    edit(copy / "preprocessor_config.json", lambda config: config.update(image_mean=[0.1, 0.1, 0.1]))
    with pytest.raises(GoldenError, match=r"expected the score"):
        check_golden(Checkpoint(copy))


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"conversations": 3}', '{"conversations": [{}]}', '{"conversations": [{"turns": 1, "ids": []}]}'],
)
def test_a_damaged_file_is_an_error(copy: Path, text: str) -> None:
    (copy / "golden.json").write_text(text)
    with pytest.raises(GoldenError, match=r"golden\.json cannot be read"):
        check_golden(Checkpoint(copy))


def test_golden_scores_are_those_of_full_precision(copy: Path) -> None:
    with pytest.raises(ValueError, match="float32"):
        write_golden(Checkpoint(copy, dtype="bfloat16"), golden_conversations(False))


def test_what_does_not_fit_the_model_is_left_out(tmp_path: Path) -> None:
    save_text(tmp_path, max_position_embeddings=24)
    checkpoint = Checkpoint(tmp_path)
    short = Conversation((("user", ("Hi",)),), "Hello")
    write_golden(checkpoint, [short, Conversation((("user", ("Hi",)),), "Hello " * 50)])
    assert len(json.loads((tmp_path / "golden.json").read_text())["conversations"]) == 1
    with pytest.raises(ValueError, match="no golden conversation fits"):
        write_golden(checkpoint, [Conversation((("user", ("Hi",)),), "Hello " * 50)])
