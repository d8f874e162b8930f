"""Raw scores to [0, 1]: frozen numbers, fitted on held-out pairs and stored in the checkpoint."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.rewards.preference.calibration import Calibration
from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.golden import check_golden
from rewardmesh.rewards.preference.training.calibrate import calibrate
from rewardmesh.rewards.preference.training.reliability import accuracy, calibration_error, correlation
from rewardmesh.router.cli.main import main
from tests.rewards.rm_files import pairs, rows, write_rows
from tests.rewards.small_rm import save_text

RAW = st.floats(-1e6, 1e6)
CENTRED = Calibration(0.0, 3.0, "", "reference_centred", 4)


@given(RAW, st.floats(1e-3, 1e6), st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=9).map(sorted))
def test_values_lie_in_0_1_and_keep_the_order(mu: float, temperature: float, raw: list[float]) -> None:
    values = [Calibration(mu, temperature, "")(r) for r in raw]
    assert values == sorted(values)
    assert all(0 <= v <= 1 for v in values)
    assert Calibration(mu, temperature, "")(mu) == 0.5


@given(st.lists(RAW, min_size=1, max_size=6), st.lists(RAW, min_size=2, max_size=6).map(sorted))
def test_compared_with_references_they_do_too(references: list[float], raw: list[float]) -> None:
    values = [CENTRED(r, references) for r in raw]
    assert values == sorted(values)
    assert all(0 <= v <= 1 for v in values)
    assert CENTRED(raw[0], references) == pytest.approx(CENTRED(raw[0], references[::-1]))


def test_a_score_like_its_references_is_half() -> None:
    assert CENTRED(7.0, [7.0]) == 0.5
    assert CENTRED(10.0, [7.0, 10.0]) == pytest.approx((1 / (1 + math.exp(-1)) + 0.5) / 2)


def test_references_change_nothing_where_they_are_not_asked_for() -> None:
    assert Calibration(1.0, 2.0, "")(3.0, [5.0]) == Calibration(1.0, 2.0, "")(3.0)


def test_without_references_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="reference answers"):
        CENTRED(1.0)


def test_a_fit_spreads_its_scores(tmp_path: Path) -> None:
    raw = [1000 + 37 * math.log(u / (1 - u)) for u in (i / 400 for i in range(1, 400))]  # a logistic distribution
    fitted = Calibration.fit(raw, "digest")
    quartiles = statistics.quantiles([fitted(r) for r in raw], n=4)
    assert quartiles == pytest.approx([0.25, 0.5, 0.75], abs=0.02)
    fitted.save(tmp_path)
    assert Calibration.load(tmp_path) == fitted


@pytest.mark.parametrize("raw", [[], [1.0], [1.0, 1.0, 1.0], [math.nan, 1.0]])
def test_scores_without_spread_fit_nothing(raw: list[float]) -> None:
    with pytest.raises(ValueError, match=r"temperature|not finite"):
        Calibration.fit(raw, "")


def test_the_digest_is_of_what_decides_values() -> None:
    one = Calibration(1.0, 2.0, "data")
    assert one.digest == replace(one, data="other", ece=0.1, samples=9).digest
    others = [replace(one, mu=1.5), replace(one, temperature=2.5), CENTRED, replace(CENTRED, references=8)]
    assert len({one.digest, *(other.digest for other in others)}) == 5
    assert len(one.digest) == 12


def test_a_file_of_an_older_version_loads(tmp_path: Path) -> None:
    fields = {"method": "sigmoid", "mu": 1, "temperature": 2.5, "data": "abc"}
    (tmp_path / "calibration.json").write_text(json.dumps(fields))
    assert Calibration.load(tmp_path) == Calibration(1.0, 2.5, "abc")


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "sigmoid", "mu": 0, "temperature": 0, "data": ""},
        {"method": "sigmoid", "mu": "NaN", "temperature": 1, "data": ""},
        {"method": "running", "mu": 0, "temperature": 1, "data": ""},
        {"method": "sigmoid", "mu": 0, "data": ""},
        {"method": "sigmoid", "mu": None, "temperature": 1, "data": ""},
        {"method": "sigmoid", "mu": 0, "temperature": 1, "data": "", "references": 4},
        {"method": "reference_centred", "mu": 0, "temperature": 3, "data": ""},
        [1, 2],
        "text",
    ],
)
def test_a_senseless_file_is_an_error(tmp_path: Path, fields: object) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=r"calibration|temperature"):
        Calibration.load(tmp_path)


def test_confidence_that_is_kept_has_no_error() -> None:
    gap = math.log(3)  # 75 % sure
    assert calibration_error([(gap, 0.0)] * 3 + [(0.0, gap)]) == pytest.approx(0)
    assert calibration_error([(gap, 0.0)] * 4) == pytest.approx(0.25)
    assert calibration_error([(50.0, 0.0), (0.0, 50.0)]) == pytest.approx(0.5)
    assert calibration_error([(1.0, 1.0)]) == pytest.approx(0)
    assert calibration_error([]) is None


@given(st.lists(st.tuples(RAW, RAW), min_size=1))
def test_errors_and_accuracies_are_shares(scores: list[tuple[float, float]]) -> None:
    error = calibration_error(scores)
    assert error is not None
    assert 0 <= error <= 1
    assert accuracy(scores) + accuracy([(r, c) for c, r in scores]) == pytest.approx(1)


def test_correlation() -> None:
    assert correlation([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]) == pytest.approx(1)
    assert correlation([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == pytest.approx(-1)
    assert correlation([1.0, 1.0], [1.0, 2.0]) is None
    assert correlation([1.0], [1.0]) is None


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as others publish it: without calibration."""
    torch.set_num_threads(1)
    folder = save_text(tmp_path_factory.mktemp("public"))
    (folder / "calibration.json").unlink()
    return folder


def test_a_public_checkpoint_is_calibrated(public: Path) -> None:
    found = calibrate(Checkpoint(public), pairs(20))
    raw = Checkpoint(public)
    values = [found(s) for s in raw.raw_scores([])]
    assert values == []
    assert found == Calibration.load(public)
    assert (found.samples, found.method) == (40, "sigmoid")
    check_golden(raw)
    assert found.data != calibrate(Checkpoint(public), pairs(20, 1)).data


@pytest.mark.parametrize("method", ["sigmoid", "reference_centred"])
def test_the_command_calibrates(public: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", rows(pairs(20)))
    code = main(["rm", "calibrate", "--checkpoint", str(public), "--data", str(data), "--method", method])
    assert code == 0
    assert f"calibration {method}" in capsys.readouterr().out
    found = Calibration.load(public)
    assert found.method == method
    assert (found.references, found.temperature == 3.0) == ((4, True) if method == "reference_centred" else (0, False))


def test_the_command_says_what_is_wrong(public: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", [{"prompt": "p", "chosen": "same", "rejected": "same"}])
    assert main(["rm", "calibrate", "--checkpoint", str(public), "--data", str(data)]) == 1
    assert "do not differ" in capsys.readouterr().err
    assert main(["rm", "calibrate", "--checkpoint", str(tmp_path), "--data", str(data)]) == 1
    assert "no model's folder" in capsys.readouterr().err
