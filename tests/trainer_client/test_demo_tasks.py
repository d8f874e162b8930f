"""The demo's pictures show what their references say, and the real rewards agree."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from PIL import Image as Pillow

from rewardmesh.contract import (
    BoxReference,
    CountReference,
    Failure,
    MathReference,
    PointReference,
    Rollout,
    Score,
    SegmentReference,
    Verdict,
)
from rewardmesh.contract.json_form import read_rollout
from rewardmesh.rewards.registry import load
from rewardmesh.trainer_client.cli import main
from rewardmesh.trainer_client.demo.clips import FRAMES, SECONDS_PER_FRAME
from rewardmesh.trainer_client.demo.drawing import BACKGROUND, COLOURS
from rewardmesh.trainer_client.demo.feed import swap_pictures
from rewardmesh.trainer_client.demo.report import table
from rewardmesh.trainer_client.demo.run import run
from rewardmesh.trainer_client.demo.tasks import CARELESS, HELD_OUT, TASKS, VISUAL, WORDS, make_item, make_prompt
from rewardmesh.trainer_client.job.prompts import JsonlPrompts
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.words import Words
from rewardmesh.trainer_client.rollout import Prompt
from rewardmesh.trainer_client.training.preflight import preflight
from tests.rewards.small_rm import save_text

NUMBERS = range(HELD_OUT, HELD_OUT + 50)
PAID = [task for task in TASKS if task != "preference"]


class RealRewards:
    """The demo's rewards, in this process; one caller at a time, as services see to it for a model."""

    def __init__(self, reward_model: Path) -> None:
        self.turn = Lock()
        options = {"preference": {"checkpoint": str(reward_model)}}
        self.rewards = {task: load(task)(**options.get(task, {})) for task in TASKS}

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        with self.turn:
            return [Verdict(r.id, self._one(r), task=r.task, reward=r.task, seconds=1e-6) for r in rollouts]

    def value(self, prompt: Prompt, answer: str) -> float:
        (verdict,) = self.score([prompt.rollout(answer)])
        assert verdict.score is not None, verdict
        return verdict.score.value

    def _one(self, rollout: Rollout) -> Score | Failure:
        (outcome,) = self.rewards[rollout.task].score([rollout])  # pyright: ignore[reportGeneralTypeIssues] -- it is not async
        return Failure.from_error(outcome) if isinstance(outcome, Exception) else outcome


@pytest.fixture(scope="module")
def rewards(tmp_path_factory: pytest.TempPathFactory) -> RealRewards:
    """With a reward model that knows nothing: training one takes a minute."""
    return RealRewards(save_text(tmp_path_factory.mktemp("reward-model")))


def pixels(prompt: Prompt, picture: int = 0) -> np.ndarray:
    """[height, width, 3]"""
    with Pillow.open(io.BytesIO(prompt.images[picture].data)) as opened:
        return np.array(opened.convert("RGB")).astype(int)


def box_of(picture: np.ndarray) -> tuple[int, int, int, int]:
    """Of all that is not background."""
    y, x = np.nonzero((picture != BACKGROUND).any(axis=-1))
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


@pytest.mark.parametrize("task", PAID)
def test_references_and_careful_answers_are_paid_in_full(task: str, rewards: RealRewards) -> None:
    prompts = [make_prompt(task, number)[0] for number in NUMBERS]
    assert preflight(prompts, rewards) == {task: len(NUMBERS)}
    careful = [rewards.value(p, make_item(task, n).answer) for p, n in zip(prompts, NUMBERS, strict=True)]
    assert careful == [1.0] * len(NUMBERS)


@pytest.mark.parametrize("task", PAID)
def test_careless_answers_are_paid_less(task: str, rewards: RealRewards) -> None:
    items = {number: make_item(task, number) for number in itertools.islice(NUMBERS, 12)}
    paid = {n: [rewards.value(make_prompt(task, n)[0], a) for a in (i.answer, i.careless)] for n, i in items.items()}
    assert all(careful > careless for careful, careless in paid.values()), paid


@pytest.mark.parametrize("task", TASKS)
def test_the_warm_up_is_taught_careless_answers_most_of_the_time(task: str) -> None:
    taught = [(make_prompt(task, n)[1], make_item(task, n)) for n in range(HELD_OUT, HELD_OUT + 300)]
    assert all(answer in (item.answer, item.careless) for answer, item in taught)
    assert np.mean([answer == item.careless for answer, item in taught]) == pytest.approx(CARELESS, abs=0.08)


@pytest.mark.parametrize("task", PAID)
def test_another_prompts_answer_is_paid_less(task: str, rewards: RealRewards) -> None:
    drawn = [(make_prompt(task, number)[0], make_item(task, number).answer) for number in NUMBERS]
    swapped = [rewards.value(p, other) for (p, answer), (_, other) in itertools.pairwise(drawn) if answer != other]
    assert len(swapped) > len(NUMBERS) / 2
    assert np.mean(swapped) < 0.7


@pytest.mark.parametrize("task", TASKS)
def test_the_same_number_makes_the_same_prompt_and_another_another(task: str) -> None:
    assert make_prompt(task, 7) == make_prompt(task, 7)
    asked = {repr((item.question, item.pictures)) for item in (make_item(task, number) for number in NUMBERS)}
    assert len(asked) > len(NUMBERS) * 0.7


@pytest.mark.parametrize("task", TASKS)
def test_nothing_held_out_is_ever_trained_on(task: str) -> None:
    held_out, trained_on = (
        {repr((item.question, item.pictures)) for item in (make_item(task, n) for n in range(first, first + 300))}
        for first in (0, HELD_OUT)
    )
    assert len(held_out) >= 20
    assert not held_out & trained_on


def test_the_square_fills_its_box() -> None:
    for number in NUMBERS:
        prompt, _ = make_prompt("grounding", number)
        assert isinstance(prompt.reference, BoxReference)
        assert prompt.reference.boxes == (box_of(pixels(prompt)),)


def test_a_point_is_asked_for_where_the_square_is() -> None:
    for number in NUMBERS:
        prompt, _ = make_prompt("point", number)
        assert isinstance(prompt.reference, PointReference)
        assert prompt.reference.regions == (box_of(pixels(prompt)),)


def test_the_light_is_red_in_the_frames_that_the_segment_covers() -> None:
    for number in NUMBERS:
        prompt, _ = make_prompt("temporal", number)
        assert isinstance(prompt.reference, SegmentReference)
        assert len(prompt.images) == FRAMES
        red = [(pixels(prompt, i) == COLOURS["red"]).all(axis=-1).any() for i in range(FRAMES)]
        (start, end), duration = prompt.reference.segments[0], prompt.reference.duration
        assert red == [start <= i * SECONDS_PER_FRAME < end for i in range(FRAMES)]
        assert duration == FRAMES * SECONDS_PER_FRAME


def test_as_many_shapes_as_the_reference_counts() -> None:
    for number in NUMBERS:
        prompt, _ = make_prompt("counting", number)
        assert prompt.reference == CountReference(patches((pixels(prompt) != BACKGROUND).any(axis=-1)))


def patches(mask: np.ndarray) -> int:
    """How many connected ones there are: shapes do not touch."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = 0
    while left:
        found += 1
        edge = [left.pop()]
        while edge:
            y, x = edge.pop()
            near = left & {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)}
            left -= near
            edge += near
    return found


def test_sums_are_right() -> None:
    for number in NUMBERS:
        item = make_item("math", number)
        assert item.reference == MathReference([item.answer])
        terms = [int(word) for word in "".join(c if c.isdigit() else " " for c in item.question).split()]
        assert sum(terms) == int(item.answer)


def test_every_word_is_a_token() -> None:
    reader = Policy.tiny(WORDS, seed=0).reader
    assert isinstance(reader, Words)
    for task in TASKS:
        for number in NUMBERS:
            item = make_item(task, number)
            for text in (item.question, item.answer, item.careless):
                words = "".join(c if c.islower() else " " for c in text).split()
                assert all(len(reader.text_ids(word)) == 1 for word in words)


def test_pictures_are_swapped_within_a_task() -> None:
    prompts = [make_prompt(task, number)[0] for task in VISUAL for number in range(3)]
    swapped = swap_pictures(prompts)
    assert [p.id for p in swapped] == [p.id for p in prompts]
    assert all(a.images != b.images and len(a.images) == len(b.images) for a, b in zip(prompts, swapped, strict=True))


def test_data_is_written_as_rollouts_that_are_paid(
    tmp_path: Path, rewards: RealRewards, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo-data", str(tmp_path / "data"), "--count", "2", "--held-out"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "data" / f"{task}.jsonl") for task in TASKS]
    for task in TASKS:
        path = tmp_path / "data" / f"{task}.jsonl"
        read = [read_rollout(line) for line in path.read_text().splitlines()]
        prompts = JsonlPrompts(path, "shapes")
        assert [prompts[i].images for i in range(2)] == [make_prompt(task, i)[0].images for i in range(2)]
        assert [r.reference for r in read] == [make_item(task, i).reference for i in range(2)]
        values = [v.score.value for v in rewards.score(read) if v.score is not None]
        assert len(values) == 2
        assert values == [1.0, 1.0] or task not in PAID


def test_a_short_run_reports_every_task(rewards: RealRewards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewardmesh.trainer_client.demo.run.HELD_OUT_PER_TASK", 4)
    said: list[str] = []
    report = run(rewards, seed=1, steps=2, warm_up_steps=2, say=said.append)
    assert set(report.changes) == set(report.scoring) == set(TASKS)
    assert set(report.blind) == set(VISUAL)
    assert [step.step for step in report.steps] == [0, 1]
    counts = ", ".join(f"4 {task}" for task in TASKS)
    assert said[0] == f"preflight: {counts} references paid in full"
    printed = table(report)
    assert all(printed.count(task) == 3 for task in TASKS)
    assert "round trip of a batch" in printed
