"""Our side of vLLM's interface: what is asked of it, what is believed of its answers, how weights reach it.

vLLM itself cannot run on a machine without a GPU; `fake_vllm` stands in for it here. Only the last test is of the real
one, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.mismatch import Mismatch, MismatchMeter
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig, completion_log_probs
from rewardmesh.trainer_client.policy.vllm import EngineError, VllmGeneration
from rewardmesh.trainer_client.policy.vllm_engine import VllmConfig, WeightSync, start_engine
from rewardmesh.trainer_client.rollout import Prompt
from tests.trainer_client.policy import fake_vllm
from tests.trainer_client.policy.prompts import WORDS, prompts
from tests.trainer_client.policy.tiny_policies import checkpoint

SAMPLING = SamplingConfig(group_size=2, max_tokens=7)


class Made:
    def __init__(self, folder: Path, seeing: bool) -> None:
        self.policy = Policy.load(folder, device="cpu")
        self.prompts = prompts(seeing)
        self.engine = start_engine(folder, VllmConfig())
        weights = WeightSync(self.engine, self.policy.model, VllmConfig())
        self.generation = VllmGeneration(self.policy, SAMPLING, self.engine, weights)

    def sample(self, seed: int = 5) -> list[Completion]:
        return self.generation.generate(self.prompts, seed, lambda ended: None)

    def mismatch(self) -> Mismatch:
        return mismatch(self.policy, self.prompts, self.sample())


def mismatch(policy: Policy, asked: Sequence[Prompt], completions: Sequence[Completion]) -> Mismatch:
    meter = MismatchMeter()
    for each in completions:
        mask = torch.ones(1, len(each.tokens), dtype=torch.bool)
        encoded = [policy.encode(asked[each.prompt])]
        found, _ = completion_log_probs(policy, encoded, torch.zeros(1, dtype=torch.int64), each.tokens[None], mask)
        meter.add(found, each.log_probs[None], mask)
    return meter.result()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: checkpoint(kind, tmp_path_factory.mktemp(kind)) for kind in ("qwen2", "qwen3_vl", "llava")}


@pytest.fixture(params=["qwen2", "qwen3_vl", "llava"])
def made(request: pytest.FixtureRequest, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Made:
    fake_vllm.install(monkeypatch)
    return Made(folders[request.param], request.param != "qwen2")


@pytest.fixture
def text(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Made:
    fake_vllm.install(monkeypatch)
    return Made(folders["qwen2"], False)


def test_its_completions_are_the_policys(made: Made) -> None:
    """Same prompts, same pictures, same bans, same ends: without other kernels nothing differs."""
    told: list[Completion] = []
    completions = made.generation.generate(made.prompts, 5, told.extend)
    assert [(c.prompt, c.number) for c in completions] == [(p, n) for p in range(4) for n in range(2)]
    assert sorted(map(id, told)) == sorted(map(id, completions))
    assert [len(c.tokens) for c in told] == sorted(len(c.tokens) for c in told)
    assert all(c.truncated == (c.tokens[-1].item() not in made.policy.ends.tolist()) for c in completions)
    assert all(each.text == made.policy.decode(each.tokens.tolist()) for each in completions)
    found = mismatch(made.policy, made.prompts, completions)
    assert found.largest < 1e-5


def test_what_ends_ends_and_what_is_cut_is_flagged(text: Made) -> None:
    ends = [text.policy.eos, *range(20, 60)]  # enough for some to come up
    text.policy.ends = torch.tensor(ends)
    completions = text.sample()
    assert {each.truncated for each in completions} == {True, False}
    assert not any(set(each.tokens[:-1].tolist()) & set(ends) for each in completions)
    assert all((each.tokens[-1].item() in ends) != each.truncated for each in completions)


def test_the_same_seed_samples_the_same(text: Made) -> None:
    one, same, other = ([c.text for c in text.sample(seed)] for seed in (5, 5, 6))
    assert one == same != other
    assert len(set(one)) > len(text.prompts)  # completions of a prompt have seeds of their own


def test_the_engine_is_started_to_report_what_it_sampled_from(text: Made) -> None:
    assert text.engine.settings["logprobs_mode"] == "processed_logprobs"
    assert text.engine.settings["generation_config"] == "vllm"
    assert text.engine.settings["weight_transfer_config"] == "ipc"


def test_weights_reach_it_with_their_version_and_old_caches_are_dropped(text: Made) -> None:
    with torch.no_grad():
        for parameter in text.policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    text.policy.version += 1
    with pytest.raises(EngineError, match=r"weights \['0'\], and the policy has 1"):
        text.sample()
    text.engine.calls.clear()
    text.generation.sync()
    assert text.engine.calls == ["update", "reset_prefix_cache", "reset_encoder_cache"]
    assert {each.policy_version for each in text.sample()} == {1}
    assert text.mismatch().largest < 1e-5


def test_weights_that_were_not_sent_are_a_mismatch(text: Made) -> None:
    with torch.no_grad():
        for parameter in text.policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    assert text.mismatch().mean > 0.01


@pytest.mark.parametrize("spoil", [{"temperature": 1.05}, {"bans": False}])
def test_another_distribution_is_a_mismatch(text: Made, spoil: dict[str, Any]) -> None:
    vars(text.engine).update(spoil)
    found = text.mismatch()
    assert not found.mean < 1e-3


def test_a_prompt_read_otherwise_is_refused(text: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = text.engine.expanded
    monkeypatch.setattr(
        text.engine, "expanded", lambda prompt: honest({"prompt_token_ids": prompt["prompt_token_ids"][:-1]})
    )
    with pytest.raises(EngineError, match="not the policy's"):
        text.sample()
    assert not text.engine.llm_engine.has_unfinished_requests()


def test_an_end_of_its_own_is_refused(text: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = text.generation._sampling  # pyright: ignore[reportPrivateUsage] -- to have the engine stop elsewhere

    def wrong(seed: int) -> Any:
        params = honest(seed)
        params.max_tokens = 3
        return params

    monkeypatch.setattr(text.generation, "_sampling", wrong)
    with pytest.raises(EngineError, match="of 3 tokens by 'length'"):
        text.sample()


def test_a_failing_listener_leaves_nothing_running(text: Made) -> None:
    def fail(ended: Sequence[Completion]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        text.generation.generate(text.prompts, 5, fail)
    assert not text.engine.llm_engine.has_unfinished_requests()


def test_a_policy_without_a_checkpoint_is_refused(text: Made) -> None:
    with pytest.raises(ValueError, match="must be loaded"):
        VllmGeneration(Policy.tiny(WORDS, 0), SAMPLING, text.engine, None)  # pyright: ignore[reportArgumentType]


def test_the_real_one(tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    if not torch.cuda.is_available():
        pytest.skip("vLLM needs a GPU")
    folder = checkpoint("qwen2", tmp_path)
    policy = Policy.load(folder, compute="bfloat16", device="cuda")
    config = VllmConfig(gpu_share=0.2, max_tokens=256)
    engine = start_engine(folder, config)
    generation = VllmGeneration(policy, SAMPLING, engine, WeightSync(engine, policy.model, config))
    asked = prompts(False)
    mismatch(policy, asked, generation.generate(asked, 5, lambda ended: None)).check(0.05)
