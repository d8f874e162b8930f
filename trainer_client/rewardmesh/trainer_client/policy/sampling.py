"""How completions are sampled, and their log-probabilities found again, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rewardmesh.trainer_client.policy.encoded import Encoded
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.reading import select


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How completions are sampled.

    Attributes:
        group_size: Completions per prompt.
        max_tokens: Longest completion, EOS included.
        temperature: 1. Anything else samples from another policy than the one that is trained.
        top_p: 1, and `top_k` 0, for the same reason.
        top_k: 0: off.

    Raises:
        ValueError: A setting that would make training off-policy, or a size below 1.
    """

    group_size: int = 8
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if (self.temperature, self.top_p, self.top_k) != (1.0, 1.0, 0):
            raise ValueError(
                "on-policy training samples from the policy itself: temperature 1, top_p 1, top_k 0; "
                f"got temperature {self.temperature}, top_p {self.top_p}, top_k {self.top_k}"
            )
        if self.group_size < 1 or self.max_tokens < 1:
            raise ValueError(f"group_size and max_tokens must be at least 1, got {self.group_size}, {self.max_tokens}")


def completion_log_probs(
    policy: Policy, prompts: Sequence[Encoded], rows: Tensor, tokens: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """The log-probabilities of given completions, differentiable in every parameter of the policy.

    Each prompt is read once, its images too, however many completions it has.

    Args:
        policy: The policy.
        prompts: The prompts.
        rows: [completions]: the prompt each belongs to.
        tokens: [completions, tokens]: padded on the right.
        mask: [completions, tokens]: False on padding.

    Returns:
        Log-probabilities and, without gradient, entropies in nats; both [completions, tokens] and 0 on padding.
    """
    used, local = torch.unique(rows, return_inverse=True)
    tokens, mask, local = (each.to(policy.device) for each in (tokens, mask, local))
    reading = select(policy.read([prompts[i] for i in used.tolist()]), local)
    first = reading.logits[:, None]
    # The last token is not read: nothing follows it. Where there is but one, it is: every call makes as many passes.
    before = max(1, tokens.shape[1] - 1)
    later = policy.extend(reading, tokens[:, :before], mask[:, :before])
    distribution = policy.log_softmax(torch.cat([first, later], dim=1)[:, : tokens.shape[1]])
    chosen = distribution.gather(2, tokens[..., None])[..., 0]
    with torch.no_grad():
        # A banned token has probability 0 and log-probability -inf; its share of the entropy is 0.
        entropy = -(distribution.exp() * distribution.clamp(min=torch.finfo(torch.float32).min)).sum(-1)
    return torch.where(mask, chosen, 0.0), torch.where(mask, entropy, 0.0)
