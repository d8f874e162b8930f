"""Supervised warm-up: GRPO can only strengthen what the policy sometimes does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import completion_log_probs
from rewardmesh.trainer_client.rollout import Prompt


def warm_up(
    policy: Policy,
    draw: Callable[[], Sequence[tuple[Prompt, str]]],
    steps: int,
    learning_rate: float,
) -> list[float]:
    """Trains the full model to answer prompts with given texts.

    The learning rate falls along a cosine to a tenth.

    Args:
        policy: Trained in place; its version counts the steps.
        draw: A fresh batch of prompts with their answers.
        steps: How many batches.
        learning_rate: Adam's, at the start.

    Returns:
        The loss of each step: mean negative log-likelihood per token, EOS included.
    """
    optimizer = torch.optim.Adam(policy.model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, learning_rate / 10)
    losses: list[float] = []
    for _ in range(steps):
        pairs = draw()
        answers = [policy.answer_ids(answer) for _, answer in pairs]
        width = max(map(len, answers))
        tokens = torch.tensor([ids + [policy.pad] * (width - len(ids)) for ids in answers])
        mask = torch.arange(width) < torch.tensor([len(ids) for ids in answers])[:, None]
        encoded = [policy.encode(prompt) for prompt, _ in pairs]
        log_probs, _ = completion_log_probs(policy, encoded, torch.arange(len(pairs)), tokens, mask)
        loss = -log_probs.sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0, error_if_nonfinite=True)
        optimizer.step()
        schedule.step()
        policy.version += 1
        losses.append(float(loss.detach()))
    return losses
