"""Patches in the encoder's order, positions on three axes, text without loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.models.patches import PatchShape, patchify
from rewardmesh.models.vlm_prompt import encode_prompt
from rewardmesh.models.word_tokenizer import WordTokenizer

SHAPE = PatchShape(size=2, merge=2)
IMAGE = 9


def test_patches_come_block_by_block_in_reading_order() -> None:
    """A 4 x 8 image is two merged blocks of four patches; each patch is named by its top left pixel."""
    pixels = torch.arange(32, dtype=torch.uint8).reshape(1, 4, 8).expand(3, 4, 8)
    patches = patchify(pixels, SHAPE)
    assert patches.shape == (8, 12)
    assert ((patches[:, 0] + 1) * 127.5).round().int().tolist() == [0, 2, 16, 18, 4, 6, 20, 22]
    assert ((patches[1, :4] + 1) * 127.5).round().int().tolist() == [2, 3, 10, 11]


def test_patches_keep_colours_apart_and_span_minus_one_to_one() -> None:
    pixels = torch.zeros(3, 4, 4, dtype=torch.uint8)
    pixels[1] = 255
    assert patchify(pixels, SHAPE)[0].tolist() == [-1] * 4 + [1] * 4 + [-1] * 4


@pytest.mark.parametrize("size", [(4, 6), (6, 4), (3, 4)])
def test_a_side_that_does_not_fit_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        patchify(torch.zeros(3, *size, dtype=torch.uint8), SHAPE)


def test_an_image_takes_rows_and_columns_and_as_many_positions_as_its_longer_side() -> None:
    prompt = encode_prompt([[1, 2], torch.zeros(3, 4, 12, dtype=torch.uint8), [3]], IMAGE, SHAPE)
    assert prompt.ids.tolist() == [1, 2, IMAGE, IMAGE, IMAGE, 3]
    assert prompt.is_image.tolist() == [False, False, True, True, True, False]
    assert prompt.positions.tolist() == [[0, 1, 2, 2, 2, 5], [0, 1, 2, 2, 2, 5], [0, 1, 2, 3, 4, 5]]
    assert prompt.next_position == 6
    assert prompt.grids.tolist() == [[1, 2, 6]]
    assert prompt.patches.shape == (12, 12)


def test_a_text_has_no_patches() -> None:
    prompt = encode_prompt([[1, 2, 3]], IMAGE, SHAPE)
    assert prompt.grids.shape == (0, 3)
    assert prompt.patches.shape == (0, 12)


def test_a_placeholder_in_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="placeholder"):
        encode_prompt([[1, IMAGE]], IMAGE, SHAPE)


TOKENIZER = WordTokenizer(["where", "is", "red"])


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.just("\n"))
def test_text_survives(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize(
    ("text", "tokens"), [("where is", 3), ("12", 1), ("[4, 16, 20]", 9), ("123", 2), ("Where", 5), ("07:30", 3)]
)
def test_words_and_pairs_of_digits_are_one_token(text: str, tokens: int) -> None:
    assert len(TOKENIZER.encode(text)) == tokens


def test_other_characters_are_refused() -> None:
    with pytest.raises(ValueError, match="'é'"):
        TOKENIZER.encode("café")
