"""One completion of a prompt, as it came out of the policy."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """What a policy answered.

    Attributes:
        prompt: Which of the prompts given it answers.
        number: Which of its group it is, from 0.
        tokens: [tokens], int64, at least one; the EOS that ended it is the last.
        log_probs: [tokens], float32: of each token, as it was sampled.
        text: The same without special tokens.
        truncated: The length limit came before an EOS.
        policy_version: Of the weights that sampled.
    """

    prompt: int
    number: int
    tokens: Tensor
    log_probs: Tensor
    text: str
    truncated: bool
    policy_version: int
