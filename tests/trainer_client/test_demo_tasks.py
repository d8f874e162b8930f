"""The demo's pictures show what their references say, and the real rewards agree."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from rewardmesh.contract import BoxReference, CountReference, Failure, Rollout, Score, SegmentReference, Verdict
from rewardmesh.rewards.registry import load
from rewardmesh.trainer_client.demo.drawing import COLOURS
from rewardmesh.trainer_client.demo.report import table
from rewardmesh.trainer_client.demo.run import run
from rewardmesh.trainer_client.demo.tasks import SECONDS_PER_PIXEL, SIDE, TASKS, WORDS, make_prompt
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.rollout import Prompt
from rewardmesh.trainer_client.training.preflight import preflight

SEEDS = range(50)


class RealRewards:
    """The demo's rewards, in this process."""

    def __init__(self) -> None:
        self.rewards = {task: load(task)() for task in TASKS}

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(r.id, self._one(r), task=r.task, reward=r.task, seconds=1e-6) for r in rollouts]

    def _one(self, rollout: Rollout) -> Score | Failure:
        (outcome,) = self.rewards[rollout.task].score([rollout])  # pyright: ignore[reportGeneralTypeIssues] -- it is not async
        return Failure.from_error(outcome) if isinstance(outcome, Exception) else outcome


@pytest.fixture(scope="module")
def rewards() -> RealRewards:
    torch.set_num_threads(1)
    return RealRewards()


def red(prompt: Prompt) -> np.ndarray:
    """[height, width], bool: where the picture is red."""
    with Pillow.open(io.BytesIO(prompt.images[0].data)) as picture:
        assert picture.size == (SIDE, SIDE)
        return (np.array(picture.convert("RGB")) == COLOURS["red"]).all(axis=-1)


@pytest.mark.parametrize("task", TASKS)
def test_references_and_taught_answers_are_paid_in_full(task: str, rewards: RealRewards) -> None:
    drawn = [make_prompt(task, seed) for seed in SEEDS]
    assert preflight([prompt for prompt, _ in drawn], rewards) == {task: len(SEEDS)}
    taught = rewards.score([prompt.rollout(answer) for prompt, answer in drawn])
    assert [v.score and v.score.value for v in taught] == [1.0] * len(SEEDS)


@pytest.mark.parametrize("task", TASKS)
def test_another_prompts_answer_is_paid_less(task: str, rewards: RealRewards) -> None:
    drawn = [make_prompt(task, seed) for seed in SEEDS]
    swapped = [prompt.rollout(other) for (prompt, answer), (_, other) in itertools.pairwise(drawn) if answer != other]
    assert len(swapped) > len(SEEDS) / 2
    assert all(v.score is not None and v.score.value < 1 for v in rewards.score(swapped))


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_makes_the_same_prompt_and_another_another(task: str) -> None:
    assert make_prompt(task, 7) == make_prompt(task, 7)
    assert len({make_prompt(task, seed)[0].images for seed in SEEDS}) > len(SEEDS) * 0.9


def test_the_red_square_fills_its_box() -> None:
    for seed in SEEDS:
        prompt, _ = make_prompt("grounding", seed)
        assert isinstance(prompt.reference, BoxReference)
        y, x = np.nonzero(red(prompt))
        assert prompt.reference.boxes[0] == (x.min(), y.min(), x.max() + 1, y.max() + 1)
        assert red(prompt)[y.min() : y.max() + 1, x.min() : x.max() + 1].all()


def test_the_timeline_is_red_while_it_is_on() -> None:
    for seed in SEEDS:
        prompt, _ = make_prompt("temporal", seed)
        assert isinstance(prompt.reference, SegmentReference)
        _, x = np.nonzero(red(prompt))
        assert prompt.reference.segments[0] == (x.min() * SECONDS_PER_PIXEL, (x.max() + 1) * SECONDS_PER_PIXEL)


def test_as_many_circles_as_the_reference_counts() -> None:
    """A circle's bounding box has empty corners; figures do not touch, so each is a connected patch of colour."""
    for seed in SEEDS:
        prompt, answer = make_prompt("counting", seed)
        with Pillow.open(io.BytesIO(prompt.images[0].data)) as picture:
            pixels = np.array(picture.convert("RGB")).astype(int)
        circles = sum(circles_of((pixels == colour).all(axis=-1)) for colour in COLOURS.values())
        assert prompt.reference == CountReference(circles)
        assert answer == str(circles)


def circles_of(mask: np.ndarray) -> int:
    """Connected patches of `mask` whose top left corner is missing from their bounding box."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = 0
    while left:
        patch = {left.pop()}
        edge = list(patch)
        while edge:
            y, x = edge.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    patch.add(near)
                    edge.append(near)
        found += (min(y for y, _ in patch), min(x for _, x in patch)) not in patch
    return found


def test_every_word_of_the_questions_is_a_token() -> None:
    policy = Policy.tiny(WORDS, seed=0)
    for task in TASKS:
        text = make_prompt(task, 0)[0].messages[0].parts[1]
        words = "".join(c if c.isalpha() else " " for c in getattr(text, "text", "")).split()
        assert all(len(policy.reader.text_ids(word)) == 1 for word in words)


def test_a_short_run_reports_every_task(rewards: RealRewards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewardmesh.trainer_client.demo.run.HELD_OUT_PER_TASK", 4)
    said: list[str] = []
    report = run(rewards, seed=1, steps=2, warm_up_steps=2, say=said.append)
    assert set(report.changes) == set(report.scoring) == set(TASKS)
    assert [step.step for step in report.steps] == [0, 1]
    assert said[0] == "preflight: 4 grounding, 4 counting, 4 temporal references paid in full"
    printed = table(report)
    assert all(printed.count(task) == 3 for task in TASKS)
    assert "round trip of a batch" in printed


def test_the_command_line_works_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from rewardmesh.trainer_client.cli import main; sys.exit(main({}))"
    helped = subprocess.run(
        [sys.executable, "-c", code.format(["demo", "--help"])], check=False, capture_output=True, text=True
    )
    assert helped.returncode == 0
    assert "--target HOST:PORT" in helped.stdout
    refused = subprocess.run([sys.executable, "-c", code.format(["demo"])], check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "pip install 'rewardmesh[train]'" in refused.stderr
