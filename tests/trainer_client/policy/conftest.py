"""One policy of each kind of model, loaded from a checkpoint, and what it samples."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.encoded import Encoded
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig, completion_log_probs
from rewardmesh.trainer_client.rollout import Prompt
from tests.trainer_client.policy.prompts import WORDS, prompts
from tests.trainer_client.policy.tiny_policies import KINDS, SEEING, checkpoint


class Sampled(NamedTuple):
    """A policy, and 16 completions of each of its prompts: some end by themselves, some at the limit."""

    policy: Policy
    prompts: list[Prompt]
    encoded: list[Encoded]
    completions: list[Completion]

    def log_probs(self) -> Tensor:
        """All completions' as training sees them, [completions, tokens], 0 on padding."""
        rows = [each.tokens for each in self.completions]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.policy.pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        which = torch.tensor([each.prompt for each in self.completions])
        return completion_log_probs(self.policy, self.encoded, which, tokens, mask)[0]

    def disagreement(self) -> float:
        """Largest difference between the log-probabilities of sampling and of training."""
        found = zip(self.log_probs(), self.completions, strict=True)
        return max((row[: len(c.tokens)] - c.log_probs).abs().max().item() for row, c in found)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=["words", *KINDS])
def sampled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sampled:
    kind: str = request.param
    if kind == "words":
        policy = Policy.tiny(WORDS, seed=3)
    else:
        policy = Policy.load(checkpoint(kind, tmp_path_factory.mktemp(kind)), device="cpu")
    asked = prompts(kind in SEEING)
    generation = HfGeneration(policy, SamplingConfig(group_size=16, max_tokens=40))
    completions = generation.generate(asked, 5, lambda ended: None)
    return Sampled(policy, asked, [policy.encode(prompt) for prompt in asked], completions)
