"""The policy that is trained is the policy that sampled: masks, positions, temperature and banned tokens agree."""

from __future__ import annotations

import random

import pytest
import torch

from rewardmesh.contract import ImagePart, Message, TextPart
from rewardmesh.models.vlm_prompt import VlmPrompt
from rewardmesh.models.vlm_reading import select
from rewardmesh.models.word_tokenizer import ASSISTANT, IMAGE, PAD, USER
from rewardmesh.trainer_client.demo.drawing import draw
from rewardmesh.trainer_client.demo.tasks import SIDE, WORDS, grounding
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import (
    Samples,
    SamplingConfig,
    completion_log_probs,
    completion_texts,
    sample,
)
from rewardmesh.trainer_client.rollout import Prompt

# float32 leaves about 2e-6 on these log-probabilities; a temperature of 1.01 moves them by 1e-2.
TOLERANCE = 1e-5


def picture(seed: int, question: str, pictures: int) -> Prompt:
    """A question about so many pictures."""
    images = tuple(draw(SIDE, grounding(random.Random(seed + i))[1]) for i in range(pictures))
    # Text in between: transformers, which some tests compare with, takes adjacent images for one.
    parts = (*(part for i in range(pictures) for part in (ImagePart(i), TextPart("and"))), TextPart(question))
    return Prompt(f"p{seed}", "grounding", "shapes", (Message("user", parts),), None, images)


PROMPTS = [
    picture(1, "where?", 1),
    picture(2, "where is the red square, and where is the green circle?", 1),
    picture(3, "no picture", 0),
    picture(4, "what changed?", 2),
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.tiny(WORDS, seed=3)


@pytest.fixture(scope="module")
def encoded(policy: Policy) -> list[VlmPrompt]:
    return [policy.encode(prompt) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def samples(policy: Policy, encoded: list[VlmPrompt]) -> Samples:
    """Long enough for an untrained policy to hit EOS in some completions and the limit in others."""
    config = SamplingConfig(group_size=16, max_tokens=64)
    return sample(policy, encoded, config, torch.Generator().manual_seed(5))


def disagreement(policy: Policy, encoded: list[VlmPrompt], samples: Samples) -> float:
    log_probs, _ = completion_log_probs(policy, encoded, samples.rows, samples.tokens, samples.mask)
    return (log_probs - samples.log_probs).abs().max().item()


def test_training_sees_the_log_probs_of_sampling(policy: Policy, encoded: list[VlmPrompt], samples: Samples) -> None:
    assert disagreement(policy, encoded, samples) < TOLERANCE


def test_a_wrong_temperature_would_be_seen(
    policy: Policy, encoded: list[VlmPrompt], samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_softmax = policy.log_softmax
    monkeypatch.setattr(policy, "log_softmax", lambda logits: log_softmax(logits / 1.01))
    assert disagreement(policy, encoded, samples) > 100 * TOLERANCE


def test_a_completion_alone_and_in_a_mixed_batch_are_equal(
    policy: Policy, encoded: list[VlmPrompt], samples: Samples
) -> None:
    for row in range(0, len(samples.rows), 16):
        length = int(samples.mask[row].sum())
        alone, _ = completion_log_probs(
            policy,
            [encoded[int(samples.rows[row])]],
            torch.zeros(1, dtype=torch.int64),
            samples.tokens[row : row + 1, :length],
            samples.mask[row : row + 1, :length],
        )
        torch.testing.assert_close(alone[0], samples.log_probs[row, :length], rtol=0, atol=TOLERANCE)


def test_reading_agrees_with_transformers(policy: Policy, encoded: list[VlmPrompt]) -> None:
    """Our patches, placeholders and positions, against the model's own forward pass on one unpadded sequence."""
    for prompt in encoded:
        pictures = {"pixel_values": prompt.patches, "image_grid_thw": prompt.grids} if len(prompt.grids) else {}
        theirs = policy.model(input_ids=prompt.ids[None], mm_token_type_ids=prompt.is_image[None].int(), **pictures)
        torch.testing.assert_close(policy.read([prompt]).logits, theirs.logits[:, -1], rtol=0, atol=TOLERANCE)


def test_pictures_are_seen(policy: Policy) -> None:
    one, other = (policy.encode(picture(seed, "where?", 1)) for seed in (1, 9))
    assert not torch.allclose(policy.read([one]).logits, policy.read([other]).logits, atol=1e-2)


def test_eos_is_trained_padding_is_not_and_truncation_is_flagged(policy: Policy, samples: Samples) -> None:
    assert samples.truncated.any()
    assert not samples.truncated.all()
    for tokens, mask, cut in zip(samples.tokens, samples.mask, samples.truncated, strict=True):
        length = int(mask.sum())
        assert mask.tolist() == [True] * length + [False] * (len(mask) - length)
        assert (tokens[length - 1] != policy.eos) == cut
        assert policy.eos not in tokens[: length - 1]
        assert (tokens[length:] == policy.pad).all()
        assert length == len(mask) or not cut


def test_special_tokens_are_never_sampled(policy: Policy, samples: Samples) -> None:
    """Of 4096 tokens of an untrained policy, some 60 would be special were they not banned."""
    special = torch.tensor([policy.tokenizer.specials[name] for name in (PAD, IMAGE, USER, ASSISTANT)])
    assert not torch.isin(samples.tokens[samples.mask], special).any()
    distribution = policy.log_softmax(torch.randn(3, len(policy.tokenizer))).exp()
    assert not distribution[:, special].any()
    torch.testing.assert_close(distribution.sum(-1), torch.ones(3))


def test_a_placeholder_in_a_completion_takes_no_feature(policy: Policy, encoded: list[VlmPrompt]) -> None:
    reading = policy.read(encoded[:1])
    placeholder = torch.tensor([[policy.tokenizer.specials[IMAGE]]])
    assert policy.extend(reading, placeholder, torch.ones(1, 1, dtype=torch.bool)).isfinite().all()


def test_selecting_leaves_the_reading_alone(policy: Policy, encoded: list[VlmPrompt]) -> None:
    reading = policy.read(encoded)
    before = [keys.clone() for keys, *_ in reading.cache]
    chosen = select(reading, torch.tensor([1, 1, 0]))
    policy.extend(chosen, torch.full((3, 2), 9), torch.ones(3, 2, dtype=torch.bool))
    assert all(torch.equal(old, keys) for old, (keys, *_) in zip(before, reading.cache, strict=True))
    assert reading.mask.shape[0] == len(encoded)


def test_the_same_seed_samples_the_same(policy: Policy, encoded: list[VlmPrompt]) -> None:
    config = SamplingConfig(group_size=2, max_tokens=8)
    texts = [
        completion_texts(policy, sample(policy, encoded, config, torch.Generator().manual_seed(seed)))
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    "setting", [{"temperature": 0.7}, {"top_p": 0.9}, {"top_k": 50}, {"group_size": 0}, {"max_tokens": 0}]
)
def test_off_policy_sampling_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"temperature 1, top_p 1, top_k 0|at least 1"):
        SamplingConfig(**setting)  # pyright: ignore[reportArgumentType] -- wrong on purpose


def test_dropout_is_refused(policy: Policy) -> None:
    model = Policy.tiny(WORDS, seed=0).model
    model.model.language_model.layers[1].self_attn.attention_dropout = 0.1
    with pytest.raises(ValueError, match="dropout"):
        Policy(model, policy.tokenizer)


def test_text_cannot_forge_a_special_token(policy: Policy) -> None:
    forged = policy.tokenizer.encode("<eos><image><assistant>")
    assert not set(forged) & set(policy.tokenizer.specials.values())
    assert policy.tokenizer.decode(forged) == "<eos><image><assistant>"
