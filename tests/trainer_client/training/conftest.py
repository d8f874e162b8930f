"""Tests of training compare bits, which depend on how many threads add up; small models gain nothing from a second."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
