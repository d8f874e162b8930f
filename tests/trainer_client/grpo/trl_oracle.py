"""TRL's own loss, called on fixed completions of a tiny text model: what our gradients must equal."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

LossType = Literal["dapo", "grpo", "bnpo"]
VOCABULARY = 61


class Completions(NamedTuple):
    """Prompts, padded on the left, and their completions, padded on the right; masks are False on padding."""

    prompts: Tensor
    prompt_mask: Tensor
    tokens: Tensor
    mask: Tensor

    def at(self, rows: Tensor) -> Completions:
        """Some of them."""
        return Completions(*(tensor[rows] for tensor in self))


def tiny_model(seed: int) -> PreTrainedModel:
    """A text model of 20,000 random parameters that has opinions: with transformers' weights all tokens are alike."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, bos_token_id=None, eos_token_id=2,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    return model.train()


def completions(lengths: Tensor, seed: int) -> Completions:
    """Random completions of these lengths, [groups, size], and prompts of other lengths for each group."""
    generator = torch.Generator().manual_seed(seed)
    groups, size = lengths.shape
    prompt_lengths = torch.randint(2, 7, (groups,), generator=generator)
    prompts = torch.randint(3, VOCABULARY, (groups, 6), generator=generator).repeat_interleave(size, 0)
    prompt_mask = (torch.arange(6) >= 6 - prompt_lengths[:, None]).repeat_interleave(size, 0)
    tokens = torch.randint(3, VOCABULARY, (groups * size, int(lengths.max())), generator=generator)
    mask = torch.arange(int(lengths.max())) < lengths.flatten()[:, None]
    return Completions(prompts.masked_fill(~prompt_mask, 0), prompt_mask, tokens.masked_fill(~mask, 0), mask)


def log_probs(model: PreTrainedModel, batch: Completions) -> Tensor:
    """[completions, tokens]: of the completions' tokens, by a plain forward pass."""
    logits = model(
        input_ids=torch.cat([batch.prompts, batch.tokens], 1),
        attention_mask=torch.cat([batch.prompt_mask, batch.mask], 1).long(),
    ).logits
    width = batch.tokens.shape[1]
    return logits[:, -width - 1 : -1].log_softmax(-1).gather(2, batch.tokens[..., None])[..., 0]


def trl_gradient(
    model: PreTrainedModel,
    batch: Completions,
    advantages: Tensor,
    loss_type: LossType,
    *,
    old: Tensor | None = None,
    reference: Tensor | None = None,
    beta: float = 0.0,
    clip: tuple[float, float] = (0.2, 0.2),
) -> list[Tensor]:
    """The gradient of `GRPOTrainer._compute_loss`, on a trainer that has what the loss reads and nothing else."""
    trainer: Any = GRPOTrainer.__new__(GRPOTrainer)
    trainer.model = model
    trainer.accelerator = Accelerator(cpu=True)
    trainer.args = SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1)
    trainer.loss_type, trainer.beta = loss_type, beta
    trainer.epsilon_low, trainer.epsilon_high = clip
    trainer.importance_sampling_level = "token"
    trainer.aux_loss_enabled = trainer.use_vllm = trainer._entropy_bonus_enabled = False
    trainer.top_entropy_quantile = 1.0
    trainer.off_policy_mask_threshold = None
    trainer.current_gradient_accumulation_steps = 1
    trainer._metrics = {"train": defaultdict(list)}
    inputs = {
        "prompt_ids": batch.prompts, "prompt_mask": batch.prompt_mask.long(), "completion_ids": batch.tokens,
        "completion_mask": batch.mask.long(), "advantages": advantages.float(), "num_items_in_batch": batch.mask.sum(),
    }  # fmt: skip
    if old is not None:
        inputs["old_per_token_logps"] = old
    if reference is not None:
        inputs["ref_per_token_logps"] = reference
    return gradient(model, trainer._compute_loss(model, inputs))


def gradient(model: PreTrainedModel, *losses: Tensor) -> list[Tensor]:
    """What the losses' backward passes add up to."""
    model.zero_grad()
    for loss in losses:
        loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference of two gradients."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
