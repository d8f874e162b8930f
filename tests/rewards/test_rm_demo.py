"""The demo models: data that the project makes, and what a few steps on it teach."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
import torch
from PIL import Image

from rewardmesh.rewards.preference.calibration import Calibration
from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.demo.multimodal import train_multimodal_demo
from rewardmesh.rewards.preference.demo.pairs import KINDS, demo_pairs, forgeries, texts
from rewardmesh.rewards.preference.demo.pictures import COLOURS, NUMBERS, PLACES, SHAPES, Scene, demo_captions, draw
from rewardmesh.rewards.preference.demo.text import train_demo
from rewardmesh.rewards.preference.evaluation.scoring import Question, score
from rewardmesh.rewards.preference.golden import check_golden
from rewardmesh.rewards.preference.training.train import Report
from rewardmesh.router.cli.main import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("demo")
    return folder, train_demo(folder, steps=120, held_out=200)  # of 300


def test_held_out_pairs_share_no_completion_with_training() -> None:
    training = {text for pair in demo_pairs(3000, 0) for text in (pair.chosen, pair.rejected)}
    held_out = [pair for pair in demo_pairs(800, 0, held_out=True) if pair.kind != "off_format"]  # `{"answer": "Lima"}`
    assert not training & {text for pair in held_out for text in (pair.chosen, pair.rejected)}


def test_pairs_are_of_all_kinds_and_differ() -> None:
    found = demo_pairs(400, 0)
    assert {pair.kind for pair in found} == set(KINDS)
    assert all(pair.chosen != pair.rejected and pair.chosen and pair.rejected for pair in found)
    assert texts(found) == texts(demo_pairs(400, 0)) != texts(demo_pairs(400, 1))


def test_a_few_steps_tell_manners_apart(demo: tuple[Path, Report]) -> None:
    _, report = demo
    assert report.accuracy > 0.8
    assert set(report.by_kind) == set(KINDS)


def test_a_refusal_gains_nothing_from_a_forged_good_answer(demo: tuple[Path, Report]) -> None:
    found = forgeries(150, 5)
    scores = score(Checkpoint(demo[0]), [Question(prompt, (plain, forged)) for prompt, plain, forged in found])
    gains = [forged.raw - plain.raw for plain, forged in scores if forged.raw is not None and plain.raw is not None]
    assert len(gains) == 150
    assert max(gains) < 0


def test_the_checkpoint_says_what_it_is_not(demo: tuple[Path, Report]) -> None:
    folder, report = demo
    assert "nothing\nof human preference" in (folder / "README.md").read_text()
    assert Calibration.load(folder) == report.calibration
    check_golden(Checkpoint(folder))


def test_the_same_seed_gives_the_same_checkpoint(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_demo(tmp_path / name, seed=seed, steps=2, held_out=16)
        train_multimodal_demo(tmp_path / f"seeing-{name}", seed=seed, steps=1, held_out=16)
    for kind in ("", "seeing-"):
        one, other, third = ((tmp_path / f"{kind}{name}") for name in "abc")
        files = [file.name for file in one.iterdir()]
        assert all((one / file).read_bytes() == (other / file).read_bytes() for file in files)
        assert (one / "model.safetensors").read_bytes() != (third / "model.safetensors").read_bytes()


def test_captions_fit_their_pictures() -> None:
    found = demo_captions(200, 0)
    assert {pair.kind for pair in found} == {"colour", "shape", "place", "count"}
    assert all(pair.chosen != pair.rejected for pair in found)
    pictures = {pair.prompt.images[0] for pair in found}
    assert len(pictures) > 190
    assert not pictures & {pair.prompt.images[0] for pair in demo_captions(200, 0, held_out=True)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_picture_shows_its_scene(place: str, number: str) -> None:
    for seed, shape in enumerate(SHAPES):
        drawn = Image.open(io.BytesIO(draw(Scene("red", shape, number, place), random.Random(seed))))
        cells = {
            (column, row): any(
                drawn.getpixel((16 * column + x, 16 * row + y))[1] < 100  # pyright: ignore[reportIndexIssue]
                for x in range(16)
                for y in range(16)
            )
            for column in (0, 1)
            for row in (0, 1)
        }
        assert cells[PLACES[place]]
        assert sum(cells.values()) == NUMBERS[number]
    assert len(COLOURS) == 5


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeing")
    train_multimodal_demo(folder, steps=3, held_out=16)
    return folder


def test_the_model_that_sees_is_whole(seeing: Path) -> None:
    checkpoint = Checkpoint(seeing)
    assert checkpoint.sees
    check_golden(checkpoint)
    assert "human preference" in (seeing / "README.md").read_text()


def test_pictures_enter_the_model(seeing: Path) -> None:
    one, other = demo_captions(2, 0)
    caption = "The colour is red."
    scores = score(Checkpoint(seeing), [Question(pair.prompt, (caption,)) for pair in (one, other, one)])
    ((first,), (second,), (again,)) = scores
    assert first.raw == again.raw != second.raw


@pytest.mark.parametrize(
    ("argument", "folders"),
    [([], ["text", "multimodal"]), (["text"], ["."]), (["multimodal"], ["."])],
)
def test_the_command_trains_both_or_one(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argument: list[str],
    folders: list[str],
) -> None:
    monkeypatch.setattr(train_demo, "__defaults__", (0, 2, 16))
    monkeypatch.setattr(train_multimodal_demo, "__defaults__", (0, 1, 16))
    assert main(["rm", "train", "--demo", *argument, "--out", str(tmp_path)]) == 0
    assert "a demo, never human preference" in capsys.readouterr().out
    for folder in folders:
        check_golden(Checkpoint(tmp_path / folder))
