"""Pairs from files: what is read, refused, set aside and put into batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.rewards.preference.training.pair_file import DataError, Pair, Prompt, read_pairs
from rewardmesh.rewards.preference.training.pair_reader import batches
from rewardmesh.rewards.preference.training.split import prompt_key, split
from tests.rewards.rm_files import write_rows
from tests.rewards.small_rm import picture
from tests.rewards.tables import table


@pytest.mark.parametrize("case", table("rm_bad_lines"))
def test_a_bad_line_is_named(tmp_path: Path, case: dict[str, str]) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('\n{"prompt": "p", "chosen": "a", "rejected": "b"}\n' + case["line"] + "\n")
    with pytest.raises(DataError) as error:
        read_pairs(file)
    assert str(error.value).startswith(f"{file}, line 3: ")
    assert case["message"] in str(error.value)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="is empty"):
        read_pairs(tmp_path / "pairs.jsonl")


def test_a_line_with_messages_and_image_files(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(picture(1))
    content: list[Any] = [{"type": "text", "text": "Look: "}, {"type": "image", "image": 0}]
    row: dict[str, Any] = {"prompt": [{"role": "user", "content": content}], "images": [{"path": "one.png"}]}
    row |= {"chosen": "a", "rejected": "b", "margin": 1, "annotator": "nobody"}
    (pair,) = read_pairs(write_rows(tmp_path / "pairs.jsonl", [row]))
    assert pair.prompt.load_images() == (picture(1),)
    assert (pair.margin, pair.line) == (1.0, 1)
    assert pair.prompt.turns[0][1][0] == "Look: "


PAIRS = st.lists(
    st.builds(
        lambda text, answer: Pair(Prompt((("user", (text,)),)), answer, "b"), st.sampled_from("pqrstu"), st.text()
    ),
    max_size=30,
)


@given(PAIRS, st.floats(0, 0.9), st.integers(0, 9))
def test_no_prompt_is_on_both_sides(found: list[Pair], share: float, seed: int) -> None:
    training, held_out = split(found, share, seed)
    assert len(training) + len(held_out) == len(found)
    assert not {prompt_key(p.prompt) for p in training} & {prompt_key(p.prompt) for p in held_out}
    assert (training, held_out) == split(found, share, seed)
    assert training or not found
    if share and len({p.prompt for p in found}) > 1:
        assert held_out


@given(st.lists(st.integers(1, 99), max_size=200), st.integers(1, 9), st.integers(0, 9))
def test_an_epoch_has_every_pair_once(lengths: list[int], size: int, seed: int) -> None:
    found = list(batches(lengths, size, str(seed)))
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in found)
    assert found == list(batches(lengths, size, str(seed)))


def test_a_batch_is_of_like_lengths() -> None:
    lengths = [1, 50] * 64
    assert all(len({lengths[index] for index in batch}) == 1 for batch in batches(lengths, 8, "seed"))
