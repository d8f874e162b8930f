"""The penalty of completions that come near the length limit."""

from __future__ import annotations

import pytest
import torch

from rewardmesh.trainer_client.grpo.overlong import overlong_penalty


def test_penalty_by_hand() -> None:
    lengths = torch.tensor([[1, 12], [13, 14], [15, 16]])
    assert overlong_penalty(lengths, 16, 4).tolist() == [[0, 0], [-0.25, -0.5], [-0.75, -1]]
    assert overlong_penalty(lengths, 16, 4, factor=0.2)[2, 1].item() == pytest.approx(-0.2)


def test_a_cut_off_completion_pays_in_full_and_a_factor_of_0_is_off() -> None:
    assert overlong_penalty(torch.tensor([16, 99]), 16, 1).tolist() == [-1, -1]
    assert not overlong_penalty(torch.tensor([16, 99]), 16, 16, factor=0.0).any()


@pytest.mark.parametrize(("buffer", "factor"), [(0, 1.0), (17, 1.0), (4, -0.1)])
def test_settings_out_of_range_are_refused(buffer: int, factor: float) -> None:
    with pytest.raises(ValueError, match="buffer"):
        overlong_penalty(torch.tensor([1]), 16, buffer, factor)
