"""`rewardmesh-train run`: a model of the Hugging Face kind, prompts from files, rewards from a real router."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import torch

from rewardmesh.trainer_client.cli import main
from rewardmesh.trainer_client.job import job
from rewardmesh.trainer_client.logs.jsonl import read_steps
from rewardmesh.trainer_client.logs.parquet import read_rollouts
from rewardmesh.trainer_client.policy.policy import Policy
from tests.trainer_client.alone import alone
from tests.trainer_client.policy.tiny_policies import qwen2
from tests.trainer_client.real_router import local

# Brevity pays for short completions, whatever they say: the tiny model earns some of it.
SETTINGS = """
model: model
out: out
steps: 2
device: cpu
checkpoint_every: 1
sampling: {group_size: 4, max_tokens: 12}
trainer: {prompts_per_step: 4, learning_rate: 1e-3, retries: 0}
sources:
  - {name: words, prompts: words.jsonl, weight: 3}
  - {name: shapes, prompts: shapes.jsonl}
"""
REWARDS = ("brevity", "counting")
THREE = '{"type": "count", "count": 3}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    (tmp_path / "model").mkdir()
    qwen2(tmp_path / "model")
    words = [{"id": f"w{n}", "task": "brevity", "prompt": f"say {n}"} for n in range(6)]
    reference = json.loads(THREE)
    shapes = [{"id": f"s{n}", "task": "counting", "prompt": "how many?", "reference": reference} for n in range(3)]
    for name, lines in (("words", words), ("shapes", shapes)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "train.yaml").write_text(SETTINGS)
    return tmp_path


async def test_a_run_trains_goes_on_and_leaves_a_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--config", str(folder / "train.yaml")]
    async with local(rewards=REWARDS) as router:
        command += ["--target", router.target]
        assert await alone(main, command) == 0, capsys.readouterr().err
        said = capsys.readouterr().out
        assert "reward brevity 1 " in said
        assert "references paid in full: 6 brevity, 3 counting" in said
        out = folder / "out"
        first = Policy.load(out / "model", device="cpu").model.state_dict()
        assert await alone(main, [*command, "--steps", "4"]) == 0, capsys.readouterr().err
        assert "going on after 2 steps" in capsys.readouterr().out
        again = str(folder / "again")
        assert await alone(main, [*command, "--steps", "4", "--out", again]) == 0

    steps = read_steps(out / "metrics.jsonl")
    assert [step["step"] for step in steps] == [0, 1, 2, 3]
    assert all(step["gradient_norm"] for step in steps)
    assert {name: task["rollouts"] for name, task in steps[0]["tasks"].items()}.keys() == {"brevity", "counting"}
    rollouts = read_rollouts(out / "rollouts")
    assert {(r.source, r.task, r.reward, r.version) for r in rollouts} == {
        ("words", "brevity", "brevity", "1"),
        ("shapes", "counting", "counting", rollouts[-1].version if rollouts[-1].task == "counting" else "1"),
    }
    last = Policy.load(out / "model", device="cpu").model.state_dict()
    assert not all(torch.equal(first[name], last[name]) for name in first)
    whole = Policy.load(Path(again) / "model", device="cpu").model.state_dict()
    assert all(torch.equal(last[name], whole[name]) for name in last), "as if it had never stopped"


async def test_what_stops_a_run_is_said_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def said(*arguments: str) -> str:
        assert await asyncio.to_thread(main, ["run", "--config", str(folder / "train.yaml"), *arguments]) == 1
        return capsys.readouterr().err.removeprefix("rewardmesh-train: ")

    async with local(rewards=REWARDS) as router:
        here = ("--target", router.target)
        (folder / "train.yaml").write_text(SETTINGS + "preflight: 0\nschedule: [{from: 0, weights: {math: 1}}]\n")
        assert (await said(*here)).startswith("schedule: the schedule has weights of tasks that no source has: math")
        (folder / "train.yaml").write_text(SETTINGS)
        (folder / "shapes.jsonl").write_text('{"id": "w0", "task": "counting", "prompt": "?"}')
        assert "the id 'w0' is in source 'words' too" in await said(*here)
        (folder / "shapes.jsonl").write_text('{"id": "s", "task": "counting", "prompt": "?"}')
        assert "1 of 7 references cannot be judged" in await said(*here)
        (folder / "shapes.jsonl").write_text('{"id": "s", "task": "math", "prompt": "?"}')
        assert "unknown_reward" in await said(*here)
        (folder / "shapes.jsonl").write_text(f'{{"id": "s", "task": "counting", "prompt": "?", "reference": {THREE}}}')
        (folder / "train.yaml").write_text(SETTINGS.replace("model: model", "model: nothing"))
        assert (await said(*here)).startswith(f"{folder / 'nothing'}: ")
        assert not (folder / "out" / "model").exists()


async def test_a_run_keeps_to_its_data_and_its_sampling(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def stopped(settings: str = SETTINGS) -> str:
        (folder / "train.yaml").write_text(settings)
        assert (
            await asyncio.to_thread(main, ["run", "--config", str(folder / "train.yaml"), *here, "--steps", "1"]) == 1
        )
        return capsys.readouterr().err

    async with local(rewards=REWARDS) as router:
        here = ("--target", router.target)
        (folder / "train.yaml").write_text(SETTINGS)
        assert (
            await asyncio.to_thread(main, ["run", "--config", str(folder / "train.yaml"), *here, "--steps", "1"]) == 0
        )
        capsys.readouterr()
        assert "was trained with sampling" in await stopped(SETTINGS.replace("max_tokens: 12", "max_tokens: 13"))
        assert "learning_rate=0.001, now it is 0.002" in await stopped(SETTINGS.replace("1e-3", "2e-3"))
        words = (folder / "words.jsonl").read_text()
        (folder / "words.jsonl").write_text(words.replace("say 3", "say 33"))
        assert "was trained with sources" in await stopped()


def test_a_router_that_is_not_there_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CONNECT_SECONDS", 0.2)
    assert main(["run", "--config", str(folder / "train.yaml"), "--target", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("rewardmesh-train: 127.0.0.1:1: not reached within 0.2 s")
