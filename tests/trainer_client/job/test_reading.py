"""Settings of a run: read strictly, with errors that name the field."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from rewardmesh.trainer_client.job.prompts import JsonlPrompts
from rewardmesh.trainer_client.job.reading import TRAINER, read_settings
from rewardmesh.trainer_client.job.settings import RunSettings, Stage
from rewardmesh.trainer_client.job.values import SettingsError
from rewardmesh.trainer_client.policy.parts import PartRates
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.training.config import Overlong, TrainerConfig

LEAST = "model: m\nout: o\nsteps: 3\nsources: [{name: s, prompts: data/s.jsonl}]\n"


def test_the_least_is_enough_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(LEAST)
    settings = read_settings(path)
    assert (settings.model, settings.out) == (tmp_path / "m", tmp_path / "o")
    assert settings.sources[0].prompts == tmp_path / "data/s.jsonl"
    assert (settings.router, settings.sampling.group_size) == ("127.0.0.1:50051", 8)
    assert settings.trainer.learning_rate == 1e-6


def test_everything_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(
        LEAST
        + """
router: a:1,b:2
sampling: {group_size: 4, max_tokens: 9}
schedule: [{from: 0, weights: {counting: 1}}, {from: 10, weights: {counting: 1, math: 2}}]
compute: bfloat16
trainer:
  learning_rate: 1e-5   # a text, to YAML
  norm: batch_token
  rates: {vision: frozen, projector: 2.0e-6, language: 1.0e-6}
  gdpo: {grounding: {iou: 1, format: 0.5}}
  task_scale: {math: 2}
  overlong: {limit: 9, buffer: 3}
"""
    )
    settings = read_settings(path)
    assert settings.trainer == TrainerConfig(
        learning_rate=1e-5,
        micro_batch=8,
        prompts_per_wave=4,
        norm="batch_token",
        rates=PartRates(None, 2e-6, 1e-6),
        gdpo={"grounding": {"iou": 1.0, "format": 0.5}},
        task_scale={"math": 2.0},
        overlong=Overlong(9, 3),
    )
    assert settings.schedule == (Stage(0, {"counting": 1.0}), Stage(10, {"counting": 1.0, "math": 2.0}))


def test_every_setting_of_the_trainer_can_be_read() -> None:
    """But for what experiments are made with."""
    assert set(TRAINER) == {field.name for field in dataclasses.fields(TrainerConfig)} - {"vanilla"}


def test_the_readme_tells_every_setting_and_its_example_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    section = readme.split("\n## Train\n")[1].split("\n## ")[0]
    path = tmp_path / "train.yaml"
    path.write_text(section.split("```yaml\n")[1].split("```")[0])
    settings = read_settings(path)
    assert [source.weight for source in settings.sources] == [1.0, 2.0]
    JsonlPrompts(written_line(tmp_path, section), "circles", "counting")
    names = [f.name for kind in (RunSettings, SamplingConfig, TrainerConfig) for f in dataclasses.fields(kind)]
    fixed = {"vanilla", "temperature", "top_p", "top_k", "trainer", "sampling", "sources"}
    untold = [name for name in names if name not in fixed and not re.search(rf"[`.]{name}\b|^{name}:", section, re.M)]
    assert untold == []


def written_line(folder: Path, section: str) -> Path:
    """The section's line of JSON as a file, with the picture that it names."""
    (folder / "pictures").mkdir()
    (folder / "pictures" / "17.png").write_bytes(b"")
    path = folder / "circles.jsonl"
    path.write_text(next(line for line in section.splitlines() if line.startswith("{")))
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: [", "is not YAML"),
        ("- 1", "settings must be a JSON object, got \\[1\\]"),
        ("out: o", "settings.model is missing"),
        (LEAST + "stepz: 3", "unknown field settings.'stepz'; known: model"),
        (LEAST.replace("steps: 3", "steps: many"), "settings.steps must be a number, got 'many'"),
        (LEAST.replace("steps: 3", "steps: 1.5"), "settings.steps must be a whole number, 0 or more, got 1.5"),
        (LEAST.replace("steps: 3", "steps: .inf"), "settings.steps must be finite"),
        (LEAST.replace("name: s,", "name: s, weight: 0,"), r"settings.sources\[0\].weight must be above 0, got 0"),
        (LEAST.replace("}]", "}, {name: s, prompts: t}]"), r"different names, or one; got \['s', 's'\]"),
        (LEAST + "router: here", "settings.router: target must be HOST:PORT, got 'here'"),
        (LEAST + "compute: float16", "settings.compute must be one of float32, bfloat16, got 'float16'"),
        (LEAST + "sampling: {top_p: 0.9}", "settings.sampling: on-policy training samples from the policy itself"),
        (LEAST + "trainer: {micro_batch: 0}", "settings.trainer: micro_batch must be at least 1, got 0"),
        (LEAST + "trainer: {rates: {vision: 1}}", "settings.trainer.rates.projector is missing"),
        (LEAST + "trainer: {vanilla: {}}", "unknown field settings.trainer.'vanilla'"),
        (LEAST + "schedule: best_task", "settings.schedule must be one of fixed, worst_task, got 'best_task'"),
        (LEAST + "checkpoint_every: 0", "checkpoint_every must be above 0, got 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        read_settings(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
