"""Both experiments at their smallest, with real rewards: what they write, and that arms are compared fairly."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from rewardmesh.contract import Failure, Rollout, Score, Verdict
from rewardmesh.rewards.registry import load
from rewardmesh.trainer_client.cli import main
from rewardmesh.trainer_client.demo.feed import TRAINING, batches, held_out, sources
from rewardmesh.trainer_client.experiments import interference, onpolicy_vs_vanilla
from rewardmesh.trainer_client.experiments.outcome import Outcome, write
from rewardmesh.trainer_client.experiments.size import SIZES, Size, sized
from rewardmesh.trainer_client.logs.parquet import read_rollouts
from rewardmesh.trainer_client.logs.record import RolloutRecord

TASKS = ("counting", "temporal")
TINY = Size(
    tasks=TASKS,
    warm_up_steps=12,
    steps=2,
    group_size=4,
    held_out=3,
    evaluate_every=1,
    measure_every=1,
)


class RealRewards:
    """The rewards of the two tasks, in this process."""

    def __init__(self) -> None:
        self.rewards = {task: load(task)() for task in TASKS}

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(r.id, self._one(r), task=r.task, reward=r.task) for r in rollouts]

    def _one(self, rollout: Rollout) -> Score | Failure:
        (outcome,) = self.rewards[rollout.task].score([rollout])  # pyright: ignore[reportGeneralTypeIssues] -- it is not async
        return Failure.from_error(outcome) if isinstance(outcome, Exception) else outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


def ran(module: object, folder: Path) -> Outcome:
    torch.set_num_threads(1)
    outcome: Outcome = module.run(TINY, RealRewards(), folder, None, lambda line: None)  # type: ignore[attr-defined]
    write(outcome, folder)
    return outcome


@pytest.fixture(scope="module")
def versus(folder: Path) -> Outcome:
    return ran(onpolicy_vs_vanilla, folder / "versus")


@pytest.fixture(scope="module")
def mixed(folder: Path) -> Outcome:
    return ran(interference, folder / "mixed")


def sampled(folder: Path, run: str, task: str | None = None) -> list[RolloutRecord]:
    return [r for r in read_rollouts(folder / "runs" / run / "rollouts") if task in (None, r.task)]


def test_all_runs_start_alike_and_end_apart(versus: Outcome, mixed: Outcome) -> None:
    for outcome in (versus, mixed):
        runs = [run for arm in outcome.arms.values() for run in arm]
        assert all(run.held_out[0] == runs[0].held_out[0] for run in runs)
        assert all(sorted(run.held_out) == [0, 1, 2] for run in runs)
        assert [run.seed for run in runs] == [0, 1] * len(outcome.arms)


def test_vanilla_takes_several_optimizer_steps_on_as_many_rollouts(versus: Outcome, folder: Path) -> None:
    for seed in range(2):
        ours, theirs = (sampled(folder / "versus", f"{arm}-{seed}") for arm in ("on-policy", "vanilla"))
        assert [r.prompt for r in ours] == [r.prompt for r in theirs]
        assert len(ours) == TINY.steps * TINY.group_size * sum(TRAINING[task] for task in TASKS)
        assert [r.text for r in ours if r.step == 0] == [r.text for r in theirs if r.step == 0]
    trained = [[r.policy_version for r in sampled(folder / "versus", f"{arm}-0")] for arm in ("on-policy", "vanilla")]
    assert max(trained[0]) in (0, 1)
    assert max(trained[1]) in (0, 4)


def test_the_mixture_sees_the_same_prompts_of_a_task_as_the_run_on_it(mixed: Outcome, folder: Path) -> None:
    for task in TASKS:
        ours, theirs = (
            [(r.step, r.prompt) for r in sampled(folder / "mixed", run, task)] for run in ("mixed-0", f"{task} alone-0")
        )
        assert sorted(ours) == sorted(theirs)
        assert {r.task for r in sampled(folder / "mixed", f"{task} alone-0")} == {task}
    other = {r.prompt for r in sampled(folder / "mixed", "mixed-1")}
    assert not other & {r.prompt for r in sampled(folder / "mixed", "mixed-0")}


def test_what_is_written_for_machines(versus: Outcome, mixed: Outcome, folder: Path) -> None:
    found = json.loads((folder / "versus" / "result.json").read_text())
    assert found["experiment"] == "onpolicy-vs-vanilla"
    assert found["reading"] == list(versus.reading)
    assert set(found["differences"]["on-policy - vanilla"]["counting"]) == {"value", "low", "high"}
    assert [run["seed"] for run in found["held_out"]["vanilla"]] == [0, 1]
    assert found["training_time_vanilla_vs_on_policy"] > 0
    found = json.loads((folder / "mixed" / "result.json").read_text())
    assert set(found["differences"]) == {
        "mixed - alone",
        "mixed - start",
        "counting alone - start",
        "temporal alone - start",
    }
    assert "cosines_without_noise" in found


def test_what_is_written_for_people(versus: Outcome, mixed: Outcome, folder: Path) -> None:
    for outcome, name in ((versus, "versus"), (mixed, "mixed")):
        text = (folder / name / "result.md").read_text()
        assert all(line in text for line in outcome.reading)
        linked = re.findall(r"\]\((.+\.png)\)", text)
        assert linked == [f"{picture}.png" for picture in outcome.pictures]
        assert all((folder / name / file).read_bytes().startswith(b"\x89PNG") for file in linked)
        page = (folder / name / "result.html").read_text()
        assert page.count("data:image/png;base64,") == len(linked)
        assert 'src="data:' in page
    for seed in range(2):
        assert "gap to the run on it alone" in (folder / "mixed" / f"report-{seed}.html").read_text()


def test_what_is_held_out_is_never_trained_on() -> None:
    seen = {prompt.id for prompt in held_out(TASKS, 50)}
    warm_up = batches(TASKS, seed=0)
    seen |= {prompt.id for _ in range(3) for prompt, _ in next(warm_up)}
    for seed in range(3):
        (source,) = sources(["counting"], seed)
        new = {source.prompts[i].id for i in (0, 1, len(source.prompts) - 1)}
        assert not new & seen
        seen |= new


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"seeds": 1}, "2 seeds"), ({"steps": 0}, "1 step"), ({"tasks": ("chess",)}, "no task 'chess'")],
)
def test_an_experiment_that_could_tell_nothing_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        sized("cpu", **changes)  # type: ignore[arg-type]


def test_sizes() -> None:
    assert sized("cpu") == SIZES["cpu"]
    small = sized("gpu", ("counting",), 3, 7)
    assert (small.tasks, small.seeds, small.steps, small.evaluate_every) == (("counting",), 3, 7, 1)
    assert small.device == "auto"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "1"], "needs at least 2 seeds"),
        (["--tasks", "chess"], "no task 'chess'"),
        (["--target", "127.0.0.1:1", "--seeds", "2"], "not reached within"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rewardmesh.trainer_client.experiments.show.CONNECT_SECONDS", 0.2)
    assert main(["experiment", "interference", "--out", str(tmp_path), *arguments]) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
