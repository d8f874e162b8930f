"""A shared prompt changes what a score costs, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.models.pictures import Eye
from rewardmesh.models.prefix_cache import Prefix, PrefixCache
from rewardmesh.models.reward_model import Reading, RewardModel
from rewardmesh.models.scorer import MEMORY_BUDGET, TOKEN_BUDGET, Scorer, _passes
from tests.rewards.small_rm import VOCABULARY, picture, save_seeing, save_text


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    return RewardModel.load(save_text(tmp_path_factory.mktemp("text")))


@torch.no_grad()
def one_by_one(model: RewardModel, readings: list[Reading]) -> list[float]:
    return [float(model([reading])[0]) for reading in readings]


def group(prompt: int, lengths: list[int], seed: int = 0) -> list[Reading]:
    rng = random.Random(seed)
    start = [rng.randrange(VOCABULARY) for _ in range(prompt)]
    return [Reading(start + [rng.randrange(VOCABULARY) for _ in range(length)], prompt) for length in lengths]


@pytest.mark.parametrize(
    ("prompt", "lengths"),
    [
        (100, [30] * 16),
        (100, list(range(1, 60, 4))),
        (1, [1]),
        (0, [5, 9]),  # a completion as long as the model reads leaves no room for its prompt
        (40, [0, 3]),  # nothing behind the prompt: its last token is what is pooled
        (300, [1, 200]),
    ],
)
def test_scores_are_those_of_one_by_one(model: RewardModel, prompt: int, lengths: list[int]) -> None:
    readings = group(prompt, lengths)
    found = Scorer(model).scores(readings, ["g"] * len(readings))
    assert found == pytest.approx(one_by_one(model, readings), abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_group_s_scores_repeat_bit_for_bit(model: RewardModel, data: st.DataObject) -> None:
    """Whatever else is in the batch, whatever was scored before, and wherever in the batch its members stand."""
    lengths = st.lists(st.integers(1, 50), min_size=1, max_size=8)
    ours = group(60, data.draw(lengths), seed=1)
    others = group(60, data.draw(lengths), seed=1) + group(30, data.draw(lengths), seed=2)
    alone = Scorer(model).scores(ours, ["g"] * len(ours))
    scorer = Scorer(model)
    scorer.scores(others, list(range(len(others))))
    batch = [(reading, "g", place) for place, reading in enumerate(ours)] + [(r, "other", -1) for r in others]
    batch = data.draw(st.permutations(batch))
    found = scorer.scores([reading for reading, *_ in batch], [name for _, name, _ in batch])
    assert [
        score for _, score in sorted((place, s) for (_, _, place), s in zip(batch, found, strict=True) if place >= 0)
    ] == alone


def test_groups_of_several_prompts_and_equal_completions(model: RewardModel) -> None:
    readings = group(50, [5, 6, 7]) + group(20, [5, 6], seed=3)
    readings += readings[:2]
    found = Scorer(model).scores(readings, ["g"] * len(readings))
    assert found == pytest.approx(one_by_one(model, readings), abs=1e-5)
    assert found[-2:] == found[:2]


def test_no_readings(model: RewardModel) -> None:
    assert Scorer(model).scores([], []) == []


@pytest.mark.parametrize("family", ["qwen2.5", "qwen3"])
def test_images_are_encoded_once_per_prompt(tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_seeing(tmp_path, family=family)
    model, eye = RewardModel.load(folder), Eye(folder)
    pad = model.image_token
    assert pad is not None

    def readings(seed: int) -> list[Reading]:
        seen = (eye.look(picture(seed)), eye.look(picture(9, 32, 32)))
        start = [9, 8, 7, *[pad] * seen[0].tokens, 6, *[pad] * seen[1].tokens, 5, 4, 3]
        return [Reading([*start, *text], len(start), seen) for text in ([11, 12], [13], [14, 15, 16])]

    both = readings(0) + readings(1)
    expected = one_by_one(model, both)
    calls: list[object] = []
    visual = model.backbone.visual
    monkeypatch.setattr(visual, "forward", lambda *a, _f=visual.forward, **k: (calls.append(1), _f(*a, **k))[1])
    found = Scorer(model).scores(both, ["g"] * 6)
    assert found == pytest.approx(expected, abs=1e-5)
    assert abs(found[0] - found[3]) > 1e-3  # another picture, another score
    assert len(calls) == 2


def test_what_is_remembered_is_bounded(model: RewardModel) -> None:
    size = 60 * 2 * 2 * 2 * 12 * 4  # tokens, layers, keys and values, heads, their size, bytes
    scorer = Scorer(model, cache_bytes=5 * size)
    for seed in range(12):
        scorer.scores(group(60, [4, 4], seed), ["g"] * 2)
        assert scorer._prefixes.bytes <= 5 * size
    assert len(scorer._prefixes._kept) == 5


def test_the_prefixes_used_last_are_kept(model: RewardModel) -> None:
    scorer = Scorer(model)
    prefix = scorer._prefix(group(10, [1])[0], 10, "x")
    assert isinstance(prefix, Prefix)
    cache = PrefixCache(2 * prefix.bytes)
    for key in "ab":
        cache.put(key, prefix)
    assert cache.get("a") is prefix
    cache.put("c", prefix)
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]
    small = PrefixCache(prefix.bytes)  # more than half of the budget for one
    small.put("a", prefix)
    assert small.get("a") is None


@given(st.lists(st.integers(1, 6000), max_size=60), st.integers(0, 20000))
def test_passes_hold_every_text_once_within_the_budgets(lengths: list[int], shared: int) -> None:
    texts = [(0,) * length for length in lengths]
    passes = list(_passes(texts, shared))
    assert sorted(text for part in passes for text in part) == sorted(texts)
    for part in passes:
        longest = max(map(len, part))
        assert len(part) == 1 or len(part) * longest <= TOKEN_BUDGET
        assert len(part) == 1 or len(part) * (shared + longest) <= MEMORY_BUDGET
