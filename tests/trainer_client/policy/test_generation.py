"""Completions leave the batch as they end, each once, and are those that one long batch would have given."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pytest
import torch

from rewardmesh.contract import Message, TextPart
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.generation import HfGeneration, greedy
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig, completion_log_probs
from rewardmesh.trainer_client.rollout import Prompt

PROMPTS = [
    Prompt(f"p{i}", "math", "text", (Message("user", (TextPart(text),)),), None)
    for i, text in enumerate(("what?", "how many are there of them?"))
]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.tiny(("what", "how"), seed=3)


@functools.cache
def waves(policy: Policy, seed: int) -> tuple[list[Completion], list[list[Completion]]]:
    """All completions, and the same as they were told of."""
    told: list[list[Completion]] = []

    def finished(completions: Sequence[Completion]) -> None:
        told.append(list(completions))

    generation = HfGeneration(policy, SamplingConfig(group_size=16, max_tokens=64))
    return generation.generate(PROMPTS, seed, finished), told


def test_each_completion_is_told_once_as_it_ends(policy: Policy) -> None:
    all_of_them, told = waves(policy, 5)
    assert [(c.prompt, c.number) for c in all_of_them] == [(p, n) for p in range(2) for n in range(16)]
    assert {id(c) for wave in told for c in wave} == {id(c) for c in all_of_them}
    assert sum(map(len, told)) == len(all_of_them)
    lengths = [{len(c.tokens) for c in wave} for wave in told]
    assert all(len(wave) == 1 for wave in lengths)  # what is told together ended together
    assert [min(wave) for wave in lengths] == sorted({len(c.tokens) for c in all_of_them})


def test_eos_ends_a_completion_and_the_limit_cuts_it(policy: Policy) -> None:
    completions, _ = waves(policy, 5)
    assert {c.truncated for c in completions} == {True, False}
    for each in completions:
        assert (each.tokens[-1] == policy.eos) != each.truncated
        assert policy.eos not in each.tokens[:-1]
        assert len(each.tokens) == 64 or not each.truncated
        assert len(each.tokens) == len(each.log_probs)
        assert each.text == policy.decode(each.tokens.tolist())
        assert each.policy_version == policy.version


def test_training_finds_the_log_probs_of_sampling_again(policy: Policy) -> None:
    """Also where the batch shrank under way."""
    completions, _ = waves(policy, 5)
    for each in completions:
        found, _ = completion_log_probs(
            policy,
            [policy.encode(PROMPTS[each.prompt])],
            torch.zeros(1, dtype=torch.int64),
            each.tokens[None],
            torch.ones(1, len(each.tokens), dtype=torch.bool),
        )
        torch.testing.assert_close(found[0], each.log_probs, rtol=0, atol=1e-5)


def test_the_same_seed_samples_the_same(policy: Policy) -> None:
    one, same, other = (
        [c.text for c in HfGeneration(policy, SamplingConfig(2, 8)).generate(PROMPTS, seed, lambda ended: None)]
        for seed in (5, 5, 6)
    )
    assert one == same != other


def test_greedy_takes_the_likeliest(policy: Policy) -> None:
    encoded = [policy.encode(prompt) for prompt in PROMPTS]
    for each in greedy(policy, encoded, 8):
        reading = policy.read([encoded[each.prompt]])
        assert each.tokens[0] == policy.log_softmax(reading.logits).argmax()
