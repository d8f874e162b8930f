"""`rewardmesh rm eval`: formats of benchmarks, points for ties, intervals, and what the command writes."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.rewards.preference.checkpoint import Checkpoint, Conversation
from rewardmesh.rewards.preference.evaluation.benchmark import FORMATS, Trial, points, read_trials
from rewardmesh.rewards.preference.evaluation.evaluate import evaluate, wilson
from rewardmesh.rewards.preference.evaluation.scoring import Question
from rewardmesh.rewards.preference.training.pair_file import DataError, Prompt
from rewardmesh.router.cli import rm
from rewardmesh.router.cli.main import main
from tests.rewards.rm_files import write_rows
from tests.rewards.small_rm import picture, save_seeing, save_text
from tests.rewards.tables import table

PROMPT = Prompt((("user", ("p",)),))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_text(tmp_path_factory.mktemp("checkpoint"), max_position_embeddings=64)


@pytest.mark.parametrize("case", table("rm_trials"))
def test_formats(tmp_path: Path, case: dict[str, Any]) -> None:
    file = write_rows(tmp_path / "file.jsonl", [case["row"]])
    if "error" in case:
        with pytest.raises(DataError, match=r"line 1: ") as error:
            read_trials(file, case["format"])
        assert case["error"] in str(error.value)
        return
    (trial,) = read_trials(file, case["format"])
    assert list(trial.question.completions) == case["completions"]
    assert (sorted(trial.best), trial.subset) == (case["best"], case["subset"])
    assert trial.question.prompt == PROMPT
    assert trial.all_best == (case["subset"] == "Ties")


def test_the_command_knows_every_format() -> None:
    assert set(rm.FORMATS) == set(FORMATS)


@pytest.mark.parametrize(
    ("raw", "best", "all_best", "expected"),
    [
        ([2.0, 1.0], {0}, False, (1.0, False)),
        ([1.0, 2.0], {0}, False, (0.0, False)),
        ([1.0, 1.0], {0}, False, (0.5, True)),
        ([1.0, 1.0, 1.0, 0.0], {0}, False, (1 / 3, True)),
        ([2.0, 2.0, 1.0], {0, 1}, False, (1.0, False)),
        ([0.0, 2.0, 1.0], {0, 1}, False, (1.0, False)),
        ([0.0, 2.0, 1.0], {0, 1}, True, (0.0, False)),
        ([3.0, 2.0, 1.0], {0, 1}, True, (1.0, False)),
        ([3.0, 1.0, 1.0], {0, 1}, True, (0.5, True)),
        ([None, 1.0], {0}, False, (0.0, False)),
        ([1.0, None], {0}, False, (1.0, False)),
        ([math.nan, 1.0], {0}, False, (0.0, False)),
        ([None, None], {0}, False, (0.5, True)),
    ],
)
def test_points(raw: list[float | None], best: set[int], all_best: bool, expected: tuple[float, bool]) -> None:
    trial = Trial(Question(PROMPT, [str(i) for i in range(len(raw))]), frozenset(best), all_best=all_best)
    assert points(trial, raw) == (pytest.approx(expected[0]), expected[1])


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, 2 * n).map(lambda h: h / 2), st.just(n))))
def test_an_interval_holds_its_share(numbers: tuple[float, int]) -> None:
    right, trials = numbers
    low, high = wilson(right, trials)
    assert 0 <= low <= right / trials + 1e-12
    assert right / trials - 1e-12 <= high <= 1
    assert high - low < wilson(right, trials)[1] - wilson(right, trials)[0] + 1e-12
    assert wilson(trials - right, trials) == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_wilsons_interval_is_the_published_one() -> None:
    assert wilson(81, 263) == (
        pytest.approx(0.2553, abs=1e-4),
        pytest.approx(0.3662, abs=1e-4),
    )  # Newcombe 1998, table I
    assert wilson(0, 20) == (0.0, pytest.approx(0.1611, abs=1e-4))


def test_what_is_counted(checkpoint: Path) -> None:
    loaded = Checkpoint(checkpoint)
    good, bad = "you are kind", "go away"
    first, second = loaded.raw_scores([Conversation(PROMPT.turns, text) for text in (good, bad)])
    best = frozenset({0 if first > second else 1})
    trials = [
        Trial(Question(PROMPT, [good, bad]), best, "one"),
        Trial(Question(PROMPT, [good, good]), frozenset({0}), "one"),
        Trial(Question(PROMPT, [bad, good]), best, "other"),
        Trial(Question(PROMPT, [good, "away " * 70]), frozenset({0}), "other"),
        Trial(Question(Prompt((("user", ("what " * 70,)),)), [good, good]), frozenset({1}), "other"),
    ]
    one, other, every = evaluate(loaded, trials)
    assert (one.subset, one.trials, one.right, one.ties, one.unread, one.cut) == ("one", 2, 1.5, 1, 0, 0)
    assert (other.subset, other.trials, other.right, other.ties, other.unread, other.cut) == ("other", 3, 1.5, 1, 1, 1)
    assert (every.trials, every.right, every.share) == (5, 3.0, 0.6)


def test_the_command_writes_a_table(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [
        {"id": f"{subset}/{number}", "prompt": f"what {number}", "chosen": "you are kind", "rejected": "go away"}
        for subset in ("Natural", "Adversarial/Manual")
        for number in range(5)
    ]
    file = write_rows(tmp_path / "llmbar.jsonl", made)
    command = ["rm", "eval", "--format", "llmbar", "--checkpoint", str(checkpoint), str(file)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["subset", "Adversarial/Manual", "Natural", "(all)"]
    assert "95 % interval" in lines[0]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["subset"] for row in found["subsets"]] == ["Adversarial/Manual", "Natural"]
    assert found["all"]["trials"] == 10
    low, high = found["all"]["interval"]
    assert low <= found["all"]["accuracy"] <= high


def test_pictures_are_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_seeing(tmp_path / "model")
    images = [{"data": base64.b64encode(picture()).decode()}]
    file = write_rows(tmp_path / "a.jsonl", [{"prompt": "p", "chosen": "a", "rejected": "b", "images": images}])
    assert main(["rm", "eval", "--format", "rewardbench", "--checkpoint", str(folder), str(file)]) == 0
    assert "(all)" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"data": base64.b64encode(picture()).decode()}]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"prompt": "p", "chosen": "a"}, "line 1: rejected is missing"),
        ({"prompt": "p", "chosen": "a", "rejected": "b", "images": images}, "line 1: the model reads text only"),
    ]
    for row, message in cases:
        file = write_rows(tmp_path / "a.jsonl", [row])
        assert main(["rm", "eval", "--checkpoint", str(checkpoint), str(file)]) == 1
        err = capsys.readouterr().err.splitlines()[-1]
        assert err.startswith("rewardmesh: ")
        assert message in err
    assert main(["rm", "eval", "--checkpoint", str(tmp_path), str(tmp_path / "a.jsonl")]) == 1
    assert "no model's folder" in capsys.readouterr().err
