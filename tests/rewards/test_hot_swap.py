"""A checkpoint replaced while it is served: no request fails, no group mixes versions, nothing unsound is served."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rewardmesh.contract import Rollout, Score
from rewardmesh.rewards.preference import hot_swap
from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.golden import golden_conversations, write_golden
from rewardmesh.rewards.preference.reward import PreferenceReward
from tests.rewards.small_rm import save_text

WAIT = 30.0


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(hot_swap, "LOOK_SECONDS", 0.02)
    folders = [save_text(tmp_path / f"v{seed}", seed) for seed in range(3)]
    for folder in folders:
        write_golden(Checkpoint(folder), golden_conversations(sees=False))
    return folders


def point(link: Path, folder: Path) -> None:
    fresh = link.with_suffix(".new")
    fresh.symlink_to(folder)
    fresh.replace(link)


def models(reward: PreferenceReward, *groups: str) -> list[str]:
    outcomes = reward.score([Rollout("r", "It is Lima.", "Where?", group=group) for group in groups])
    assert all(isinstance(outcome, Score) for outcome in outcomes)
    return [outcome.model for outcome in outcomes if isinstance(outcome, Score)]


def until(done: Callable[[], bool]) -> int:
    """Asks again and again; how often."""
    deadline = time.monotonic() + WAIT
    for count in range(1_000_000):
        if done():
            return count
        assert time.monotonic() < deadline
        time.sleep(0.002)
    raise AssertionError


def test_a_link_to_another_folder_swaps_and_groups_keep_their_version(versions: list[Path], tmp_path: Path) -> None:
    first, second, _ = (models(PreferenceReward(str(folder)), "")[0] for folder in versions)
    link = tmp_path / "current"
    link.symlink_to(versions[0])
    reward = PreferenceReward(str(link))
    assert models(reward, "begun", "") == [first, first]
    point(link, versions[1])
    seen = 0

    def swapped() -> bool:
        nonlocal seen
        seen += 1
        mixed = models(reward, f"new {seen}", f"new {seen}", "")
        assert len(set(mixed)) == 1
        return mixed[0] == second

    until(swapped)
    assert models(reward, "begun", "other", "begun", "") == [first, second, first, second]


def test_files_replaced_in_place_swap(versions: list[Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(versions[0], tmp_path / "served"))
    reward = PreferenceReward(str(folder))
    [first] = models(reward, "")
    for file in ("golden.json", "calibration.json", "model.safetensors"):  # for a moment they do not belong together
        shutil.copy(versions[1] / file, folder)
        models(reward, "")
    until(lambda: models(reward, "")[0] != first)
    assert models(reward, "") == models(PreferenceReward(str(versions[1])), "")


def test_what_is_not_sound_is_not_served(
    versions: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = tmp_path / "current"
    link.symlink_to(versions[0])
    reward = PreferenceReward(str(link))
    [first] = models(reward, "")
    shutil.copy(versions[2] / "model.safetensors", versions[1])  # not the weights of its golden scores
    point(link, versions[1])
    until(lambda: models(reward, "") == [first] and "cannot be served" in caplog.text)
    assert "golden" in caplog.text
    point(link, versions[2])
    until(lambda: models(reward, "")[0] != first)


def test_a_folder_that_is_gone_is_served_on(versions: list[Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(versions[0], tmp_path / "served"))
    reward = PreferenceReward(str(folder))
    [first] = models(reward, "")
    shutil.rmtree(folder)
    for _ in range(5):
        time.sleep(0.03)
        assert models(reward, "") == [first]
    shutil.copytree(versions[1], folder)
    until(lambda: models(reward, "")[0] != first)


def test_versions_are_dropped_when_their_groups_are_done(
    versions: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "current"
    link.symlink_to(versions[0])
    reward = PreferenceReward(str(link))
    [first] = models(reward, "begun")
    point(link, versions[1])
    until(lambda: models(reward, "")[0] != first)
    assert models(reward, "begun") == [first]
    monkeypatch.setattr(hot_swap, "DRAIN_SECONDS", 0.01)
    time.sleep(0.05)
    models(reward, "another")
    assert models(reward, "begun") != [first]
    [judge] = reward._text.values()
    assert isinstance(judge, hot_swap.HotSwap)
    assert len(judge._pinned) <= 2
