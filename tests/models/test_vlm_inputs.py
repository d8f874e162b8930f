"""Patches in the encoder's order, text without loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.models.patches import PatchShape, patchify
from rewardmesh.models.word_tokenizer import WordTokenizer

SHAPE = PatchShape(size=2, merge=2)


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
