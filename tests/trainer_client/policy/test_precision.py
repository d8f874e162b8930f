"""bfloat16 is for multiplying: weights, gradients and log-probabilities stay float32, and the drift has a bound."""

from __future__ import annotations

import pytest
import torch

from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from tests.trainer_client.policy.conftest import Sampled
from tests.trainer_client.policy.prompts import prompts
from tests.trainer_client.policy.tiny_policies import checkpoint

# bfloat16 keeps 8 bits: logits of about 4 move by some .03, and so do log-probabilities.
MEAN_DRIFT, MAX_DRIFT = 0.03, 0.3


@pytest.fixture(scope="module", params=["qwen2", "qwen3_vl"])
def half(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sampled:
    folder = checkpoint(request.param, tmp_path_factory.mktemp("half"))
    policy = Policy.load(folder, compute="bfloat16", device="cpu")
    asked = prompts(request.param == "qwen3_vl")
    completions = HfGeneration(policy, SamplingConfig(4, 24)).generate(asked, 5, lambda ended: None)
    return Sampled(policy, asked, [policy.encode(prompt) for prompt in asked], completions)


def test_it_does_compute_in_bfloat16(half: Sampled) -> None:
    assert half.policy.read(half.encoded[:1]).logits.dtype == torch.bfloat16


def test_weights_gradients_and_log_probs_stay_float32(half: Sampled) -> None:
    found = half.log_probs()
    found.sum().backward()
    assert found.dtype == torch.float32
    assert {p.dtype for p in half.policy.model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in half.policy.model.parameters() if p.grad is not None} == {torch.float32}
    half.policy.model.zero_grad()


def test_log_softmax_is_taken_in_float32(half: Sampled) -> None:
    logits = torch.full((1, len(half.policy.banned)), 3.0, dtype=torch.bfloat16)
    distribution = half.policy.log_softmax(logits)
    allowed = (~half.policy.banned).sum()
    assert distribution.dtype == torch.float32
    torch.testing.assert_close(distribution[0, half.policy.eos], -allowed.float().log(), rtol=0, atol=1e-6)


def test_the_drift_between_sampling_and_training_is_bounded(half: Sampled) -> None:
    pairs = list(zip(half.log_probs(), half.completions, strict=True))
    drift = torch.cat([(row[: len(c.tokens)] - c.log_probs).abs() for row, c in pairs])
    assert drift.mean() < MEAN_DRIFT
    assert drift.max() < MAX_DRIFT
    assert drift.max() > 1e-5  # it is not float32 in disguise


def test_steps_too_small_for_bfloat16_are_kept(half: Sampled) -> None:
    """A hundredth of bfloat16's resolution, a hundred times, is as much as its resolution."""
    weight = next(p for p in half.policy.model.parameters() if p.ndim == 2)
    before = weight.detach().clone()
    optimizer = torch.optim.SGD([weight], lr=2.0**-15)
    for _ in range(64):
        weight.grad = before.sign()
        optimizer.step()
    moved = (before - weight.detach()).abs()
    torch.testing.assert_close(moved[before != 0], torch.full_like(moved[before != 0], 2.0**-9), rtol=1e-3, atol=0)
    with torch.no_grad():
        weight.copy_(before)
    weight.grad = None
