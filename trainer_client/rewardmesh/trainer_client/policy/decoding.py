"""Writes completions token by token, and hands each over as it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.encoded import Encoded
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.reading import select

Choose = Callable[[Tensor], Tensor]
"""Log-probabilities [batch, vocabulary] to a token each, [batch]."""
Finished = Callable[[Sequence[Completion]], None]
# Rows that have ended still cost a forward pass. Once this share of a batch has, moving the rest is cheaper.
_WORTH_MOVING = 0.5


@torch.no_grad()
def decode(
    policy: Policy, prompts: Sequence[Encoded], group_size: int, max_tokens: int, choose: Choose, finished: Finished
) -> list[Completion]:
    """Completes every prompt `group_size` times, in one batch. Each prompt is read once.

    Args:
        policy: Whose tokens they are.
        prompts: At least one.
        group_size: Completions of each.
        max_tokens: The longest completion, EOS included.
        choose: Picks the next token.
        finished: Told of completions as they end, each once, before the next token of the others is chosen.

    Returns:
        All of them, ordered by prompt and number.
    """
    with policy.computing():
        return _decode(policy, prompts, group_size, max_tokens, choose, finished)


def _decode(
    policy: Policy, prompts: Sequence[Encoded], group_size: int, max_tokens: int, choose: Choose, finished: Finished
) -> list[Completion]:
    device = policy.device
    reading = select(policy.read(prompts), torch.arange(len(prompts), device=device).repeat_interleave(group_size))
    total = len(prompts) * group_size
    tokens = torch.full((total, max_tokens), policy.pad, device=device)
    log_probs = torch.zeros(total, max_tokens, device=device)
    done: dict[int, Completion] = {}
    rows = torch.arange(total, device=device)  # which completion each row of the batch is
    alive = torch.ones(total, dtype=torch.bool, device=device)
    for length in range(1, max_tokens + 1):
        distribution = policy.log_softmax(reading.logits)
        token = torch.where(alive, choose(distribution), policy.pad)
        tokens[rows, length - 1] = token
        log_probs[rows, length - 1] = distribution.gather(1, token[:, None])[:, 0]
        ended = torch.isin(token, policy.ends)
        leaving = alive & (ended if length < max_tokens else True)
        if leaving.any():
            new = [
                Completion(
                    row // group_size,
                    row % group_size,
                    tokens[row, :length].cpu().clone(),
                    log_probs[row, :length].cpu().clone(),
                    policy.decode(tokens[row, :length].tolist()),
                    not end,
                    policy.version,
                )
                for row, end in zip(rows[leaving].tolist(), ended[leaving].tolist(), strict=True)
            ]
            done.update((each.prompt * group_size + each.number, each) for each in new)
            finished(new)
        wrote, alive = alive, alive & ~leaving
        if len(done) == total:
            break
        if alive.float().mean() <= _WORTH_MOVING:
            left = torch.nonzero(alive)[:, 0]
            reading, rows, token, wrote = select(reading, left), rows[left], token[left], wrote[left]
            alive = torch.ones(len(left), dtype=torch.bool, device=device)
        policy.extend(reading, token[:, None], wrote[:, None])
    return [done[row] for row in range(total)]
