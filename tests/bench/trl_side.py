"""TRL's GRPOTrainer on the same model, prompts and rewards, and its gradient of one batch."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from rewardmesh.trainer_client.grpo.advantages import group_advantages
from rewardmesh.trainer_client.grpo.losses import Norm, policy_loss, token_weights
from rewardmesh.trainer_client.policy.generation import HfGeneration
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig, completion_log_probs
from rewardmesh.trainer_client.training.accumulate import padded
from tests.bench import tiny_checkpoint
from tests.trainer_client.grpo.trl_oracle import Completions, LossType, difference, gradient, trl_gradient


class _Clock(TrainerCallback):
    """Times each step, and has the other side take its own after it."""

    def __init__(self, after: Callable[[float, float], None]) -> None:
        self._after = after
        self._began = (0.0, 0.0)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter(), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._after(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


def run(
    folder: Path,
    prompts: int,
    group: int,
    tokens: int,
    steps: int,
    learning_rate: float,
    prompt_ids: list[int],
    after: Callable[[float, float], None],
) -> float:
    """Takes steps, and tells `after` of each its wall and CPU seconds; returns the completions' mean length.

    `prompt_ids` are those of prompt 0, by which both sides are seen to read the same.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tiny_checkpoint.biased(model, folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)  # by its config it would be Qwen's, which splits digits
    lengths: list[int] = []

    def reward(completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths.extend(map(len, completion_ids))
        return [
            tiny_checkpoint.value(messages[0]["content"]) if ids[-1] == tokenizer.eos_token_id else 0.0
            for messages, ids in zip(completions, completion_ids, strict=True)
        ]

    with tempfile.TemporaryDirectory() as out:
        # Whatever costs time and changes nothing here is off: checkpointed activations, logs, a reference model.
        config = GRPOConfig(
            output_dir=out, per_device_train_batch_size=prompts * group, num_generations=group,
            max_completion_length=tokens, max_steps=steps, learning_rate=learning_rate, lr_scheduler_type="constant",
            temperature=1.0, top_p=1.0, top_k=0, beta=0.0, num_iterations=1, loss_type="dapo", use_cpu=True, bf16=False,
            gradient_checkpointing=False, shuffle_dataset=False, report_to="none", logging_strategy="no",
            save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        rows = [{"prompt": [{"role": "user", "content": tiny_checkpoint.text(n)}]} for n in range(prompts * steps)]
        trainer = GRPOTrainer(
            model, reward, config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            callbacks=[_Clock(after)],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        first = tokenizer.apply_chat_template(rows[0]["prompt"], add_generation_prompt=True)["input_ids"]
        if first != prompt_ids:
            raise SystemExit("the two sides read a prompt differently")
        trainer.train()
    return fmean(lengths)


def gradient_difference(policy: Policy, prompts: int = 6, group: int = 4, tokens: int = 24) -> float:
    """The largest difference of any parameter's gradient between our way through a batch and TRL's."""
    drawn = [tiny_checkpoint.prompt(number) for number in range(prompts)]
    sampled = HfGeneration(policy, SamplingConfig(group, tokens)).generate(drawn, 0, lambda _: None)
    encoded = [policy.encode(each) for each in drawn]
    rows = torch.tensor([each.prompt for each in sampled])
    ids, mask = padded([each.tokens for each in sampled], policy.pad)
    rewards = torch.tensor([tiny_checkpoint.value(each.text) for each in sampled]).reshape(prompts, group)
    scored = torch.ones_like(rewards, dtype=torch.bool)
    advantages = group_advantages(rewards, scored, std="sample", epsilon=1e-4)
    width = max(len(each.ids) for each in encoded)
    asked = torch.full((len(rows), width), policy.pad)
    asked_mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for place, row in enumerate(rows.tolist()):
        length = len(encoded[row].ids)
        asked[place, width - length :], asked_mask[place, width - length :] = encoded[row].ids, True
    batch = Completions(asked, asked_mask, ids, mask)
    pairs: list[tuple[Norm, LossType]] = [("batch_token", "dapo"), ("batch_token", "bnpo"), ("seq", "grpo")]
    ours = []
    for norm, _ in pairs:
        weights = token_weights(advantages, mask.sum(1).reshape(prompts, group), scored, norm).flatten()
        log_probs, _ = completion_log_probs(policy, encoded, rows, ids, mask)
        ours.append(gradient(policy.model, policy_loss(log_probs, mask, weights)))
    model = policy.model.train()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    return max(
        difference(mine, trl_gradient(model, batch, advantages.values.flatten(), loss_type))
        for mine, (_, loss_type) in zip(ours, pairs, strict=True)
    )
