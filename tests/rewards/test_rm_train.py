"""Training reward models on pairs from files: what is learned, written, refused and resumed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rewardmesh.rewards.preference.calibration import Calibration
from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.golden import check_golden
from rewardmesh.rewards.preference.training.fit import DivergedError, Options
from rewardmesh.rewards.preference.training.loss import bradley_terry_loss
from rewardmesh.rewards.preference.training.pair_file import DataError, Pair, Prompt
from rewardmesh.rewards.preference.training.train import Report, train
from rewardmesh.rewards.preference.training.training_state import ResumeError
from rewardmesh.router.cli.main import main
from tests.rewards.rm_files import pairs, rows, write_rows
from tests.rewards.small_rm import save_seeing, save_text

OPTIONS = Options(batch=8, learning_rate=3e-3)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_text(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("trained")
    return out, train(pairs(160), pairs(40, 1), base, out, OPTIONS)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def test_it_learns_what_the_pairs_show(trained: tuple[Path, Report]) -> None:
    _, report = trained
    assert report.accuracy > 0.95
    assert (report.pairs, report.held_out, report.too_long) == (160, 40, 0)
    assert report.trained == report.parameters


def test_the_checkpoint_is_calibrated_and_keeps_its_golden_scores(trained: tuple[Path, Report], base: Path) -> None:
    out, report = trained
    check_golden(Checkpoint(out))
    found = Calibration.load(out)
    assert found == report.calibration
    assert found.samples == 80
    assert found.ece is not None
    assert found.length_correlation is not None
    assert (out / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert not (out / "training").exists()


def test_the_same_seed_gives_the_same_weights(base: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(pairs(24), [], base, tmp_path / name, replace(OPTIONS, seed=seed))
    files = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_that_sees_is_trained_on_pictures(tmp_path: Path) -> None:
    base = save_seeing(tmp_path / "base")
    options = replace(OPTIONS, freeze_vision=True)
    report = train(pairs(16, seeing=True), pairs(8, 1, seeing=True), base, tmp_path / "out", options)
    assert 0 < report.trained < report.parameters
    before, after = weights(base), weights(tmp_path / "out")
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "visual." in name} <= same
    assert any("language_model." in name for name in before.keys() - same)
    assert (tmp_path / "out" / "preprocessor_config.json").exists()
    checkpoint = Checkpoint(tmp_path / "out")
    check_golden(checkpoint)
    golden = json.loads((tmp_path / "out" / "golden.json").read_text())["conversations"]
    assert any(row.get("images") for row in golden)


def test_without_freezing_the_vision_encoder_learns(tmp_path: Path) -> None:
    base = save_seeing(tmp_path / "base", family="qwen2.5")
    train(pairs(16, seeing=True), [], base, tmp_path / "out", OPTIONS)
    before, after = weights(base), weights(tmp_path / "out")
    assert any("visual." in name and not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("seeing", [False, True])
def test_adapters_are_merged(tmp_path: Path, seeing: bool) -> None:
    base = save_seeing(tmp_path / "base") if seeing else save_text(tmp_path / "base")
    options = replace(OPTIONS, lora=4, freeze_vision=seeing)
    report = train(pairs(160, seeing=seeing), pairs(40, 1, seeing=seeing), base, tmp_path / "out", options)
    assert report.accuracy > 0.8
    assert report.trained < report.parameters / 2
    before, after = weights(base), weights(tmp_path / "out")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("q_proj" in name for name in changed)
    assert not any("embed_tokens" in name or "visual." in name for name in changed)


def test_freezing_the_vision_of_a_model_without_any_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reads text only"):
        train(pairs(8), [], base, tmp_path, replace(OPTIONS, freeze_vision=True))


def test_pictures_for_a_model_that_reads_text_are_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 0: .*reads text only"):
        train(pairs(8, seeing=True), [], base, tmp_path, OPTIONS)


def test_pairs_that_are_too_long_are_left_out_and_counted(base: Path, tmp_path: Path) -> None:
    long = Pair(Prompt((("user", ("what " * 600,)),)), "you are kind", "go away")
    longer = Pair(Prompt((("user", ("what",)),)), "you are kind", "go away " * 600)
    told: list[str] = []
    report = train([long, *pairs(16), longer], [], base, tmp_path, OPTIONS, tell=told.append)
    assert (report.pairs, report.too_long) == (16, 2)
    assert "left out 2" in "".join(told)
    with pytest.raises(ValueError, match="no pair to train on"):
        train([long], [], base, tmp_path / "other", OPTIONS)


def test_a_loss_that_is_no_number_ends_the_training(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="lower the learning rate"):
        train(pairs(64), [], base, tmp_path, replace(OPTIONS, learning_rate=1e30))


# Kills itself in the middle of the fourth save.
KILLED = """
import os, signal, sys, torch
torch.set_num_threads(1)
from rewardmesh.rewards.preference.training import training_state
from rewardmesh.router.cli.main import main
whole, saves = torch.save, []
def save(state, file):
    saves.append(0)
    if len(saves) == 4:
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    whole(state, file)
torch.save = save
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("lora", [0, 2])
def test_a_killed_training_resumes_to_the_same_weights(base: Path, tmp_path: Path, lora: int) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", rows(pairs(40)))
    command = [
        "rm",
        "train",
        "--data",
        str(data),
        "--base",
        str(base),
        "--batch",
        "4",
        "--lr",
        "0.003",
        "--epochs",
        "2",
    ]
    command += ["--save-every", "3", "--held-out", "0.2", *(["--lora", str(lora)] if lora else [])]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *command, "--out", str(tmp_path / "killed")], capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert main([*command, "--out", str(tmp_path / "killed")]) == 1, "would throw the work away"
    assert main([*command, "--out", str(tmp_path / "killed"), "--resume"]) == 0
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    one, other = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(torch.equal(one[name], other[name]) for name in one | other)
    for name in ("calibration.json", "golden.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "killed" / "training").exists()


def test_what_cannot_be_resumed(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="nothing to resume"):
        train(pairs(8), [], base, tmp_path, OPTIONS, resume=True)
    with pytest.raises(DivergedError):  # leaves its state behind
        train(pairs(64), [], base, tmp_path, replace(OPTIONS, learning_rate=1e30))
    with pytest.raises(ResumeError, match="unfinished training"):
        train(pairs(64), [], base, tmp_path, OPTIONS)
    with pytest.raises(ResumeError, match="had learning_rate"):
        train(pairs(64), [], base, tmp_path, OPTIONS, resume=True)
    (tmp_path / "training" / "state.pt").write_bytes(b"broken")
    with pytest.raises(ResumeError, match="cannot be read"):
        train(pairs(64), [], base, tmp_path, OPTIONS, resume=True)


def test_the_loss_falls_as_the_chosen_rises_and_pulls_to_the_centre() -> None:
    def loss(chosen: float, rejected: float, margin: float = 0) -> float:
        return bradley_terry_loss(torch.tensor([chosen]), torch.tensor([rejected]), margin).item()

    assert loss(0.0, 0.0) == pytest.approx(math.log(2))
    assert loss(1.0, -1.0) == pytest.approx(math.log1p(math.exp(-2)))
    assert loss(1.0, -1.0) < loss(0.0, 0.0) < loss(-1.0, 1.0)
    assert loss(6.0, 4.0) - loss(1.0, -1.0) == pytest.approx(0.01 * 100, abs=1e-4)
    assert loss(1.0, -1.0, margin=2) == pytest.approx(math.log(2))
    half = torch.tensor([1.0, 3.0], dtype=torch.bfloat16)
    assert bradley_terry_loss(half, -half).dtype == torch.float32


def run(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str, str]:
    code = main(["rm", *command])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_trains(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", rows(pairs(80)))
    options = ("--lr", "3e-3", "--batch", "8", "--epochs", "2", "--method", "reference_centred")
    code, out, err = run(
        capsys, "train", "--data", str(data), "--base", str(base), "--out", str(tmp_path / "out"), *options
    )
    assert code == 0, err
    assert "held-out accuracy" in out
    assert "on 8 pairs" in out
    assert "epoch 2: accuracy" in err
    assert Calibration.load(tmp_path / "out").method == "reference_centred"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--data": "absent.jsonl"}, "absent.jsonl: No such file"),
        ({"--base": "absent"}, "absent is no model's folder"),
        ({"--data": "bad.jsonl"}, "line 1: chosen is missing"),
        ({"--base": "damaged"}, "Error"),
    ],
)
def test_an_error_is_one_line(
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "good.jsonl", rows(pairs(8)))
    write_rows(tmp_path / "bad.jsonl", [{"prompt": "p"}])
    save_text(tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"damaged")
    fields = {"--data": "good.jsonl", "--base": str(base), "--out": "out"} | change
    code, _, err = run(capsys, "train", *(word for pair in fields.items() for word in pair))
    assert code == 1
    assert err.startswith("rewardmesh: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--out", "x"],
        ["--out", "x", "--data", "d"],
        ["--out", "x", "--demo", "--data", "d"],
        ["--out", "x", "--demo", "text", "--lora", "4"],
        ["--out", "x", "--demo", "audio"],
        ["--out", "x", "--data", "d", "--base", "b", "--lr", "nan"],
        ["--out", "x", "--data", "d", "--base", "b", "--held-out", "1"],
        ["--out", "x", "--data", "d", "--base", "b", "--batch", "0"],
        ["--demo"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["rm", "train", *arguments])
    assert error.value.code == 2
