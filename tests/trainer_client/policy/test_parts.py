"""Every part of the model is trained, at its own rate, or not at all."""

from __future__ import annotations

import pytest
import torch

from rewardmesh.trainer_client.policy.parts import PARTS, Part, PartRates, check_parts, part_of
from rewardmesh.trainer_client.policy.sampling import completion_log_probs
from tests.trainer_client.policy.conftest import Sampled

# CLIP's last normalisation is of a pooled token that LLaVA does not read.
UNUSED = "post_layernorm"


def step(sampled: Sampled, rates: PartRates) -> dict[str, bool]:
    """One optimizer step on two pictures' completions; which parameters it changed."""
    policy = sampled.policy
    before = {name: p.detach().clone() for name, p in policy.model.named_parameters()}
    optimizer = torch.optim.SGD(policy.parameter_groups(rates))
    chosen = [c for c in sampled.completions if c.prompt in (0, 3) and c.number < 2]
    tokens = torch.nn.utils.rnn.pad_sequence([c.tokens for c in chosen], batch_first=True, padding_value=policy.pad)
    mask = torch.arange(tokens.shape[1]) < torch.tensor([len(c.tokens) for c in chosen])[:, None]
    rows = torch.tensor([c.prompt for c in chosen])
    log_probs, _ = completion_log_probs(policy, sampled.encoded, rows, tokens, mask)
    optimizer.zero_grad()
    (log_probs.sum(dim=1) * torch.tensor([1.0, -1.0, 0.5, -2.0])).sum().backward()
    optimizer.step()
    changed = {name: not torch.equal(before[name], p) for name, p in policy.model.named_parameters()}
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            parameter.copy_(before[name])
            parameter.grad = None
    return changed


def parts(sampled: Sampled) -> set[Part]:
    return {part_of(name) for name, _ in sampled.policy.model.named_parameters()}


def test_every_tensor_of_every_part_changes(sampled: Sampled) -> None:
    changed = step(sampled, PartRates(1.0, 1.0, 1.0))
    assert [name for name, has in changed.items() if not has and UNUSED not in name] == []
    assert parts(sampled) == (set(PARTS) if hasattr(sampled.policy.model.config, "vision_config") else {"language"})


@pytest.mark.parametrize("frozen", PARTS)
def test_a_part_without_a_rate_stays_as_it_is(sampled: Sampled, frozen: Part) -> None:
    if parts(sampled) == {"language"}:
        return
    rates = {part: None if part == frozen else 1.0 for part in PARTS}
    try:
        changed = step(sampled, PartRates(**rates))
    finally:
        sampled.policy.parameter_groups(PartRates(1.0, 1.0, 1.0))
    still = {name for name, has in changed.items() if not has and UNUSED not in name}
    assert still == {name for name in changed if part_of(name) == frozen and UNUSED not in name}


def test_each_part_has_its_rate(sampled: Sampled) -> None:
    groups = sampled.policy.parameter_groups(PartRates(1e-6, 2e-6, 3e-6))
    rates = {"vision": 1e-6, "projector": 2e-6, "language": 3e-6}
    assert {group["part"]: group["lr"] for group in groups} == {part: rates[part] for part in parts(sampled)}
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held)) == len(list(sampled.policy.model.parameters()))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.visual.blocks.0.attn.qkv.weight", "vision"),
        ("model.visual.merger.linear_fc1.weight", "projector"),
        ("model.visual.deepstack_merger_list.0.norm.weight", "projector"),
        ("model.vision_tower.encoder.layers.0.mlp.fc1.weight", "vision"),
        ("model.multi_modal_projector.linear_1.weight", "projector"),
        ("model.language_model.layers.0.mlp.up_proj.weight", "language"),
        ("lm_head.weight", "language"),
    ],
)
def test_names_tell_the_part(name: str, part: Part) -> None:
    assert part_of(name) == part


def test_a_model_whose_parts_have_other_names_is_refused() -> None:
    with pytest.raises(ValueError, match="sees"):
        check_parts(["model.retina.weight", "lm_head.weight"], sees=True)


@pytest.mark.parametrize("rates", [(None, None, None), (0.0, 1.0, 1.0), (1.0, -1.0, 1.0)])
def test_rates_are_positive_and_one_is_given(rates: tuple[float | None, float | None, float | None]) -> None:
    with pytest.raises(ValueError, match="positive"):
        PartRates(*rates)
