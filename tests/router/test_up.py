"""`rewardmesh up` as a process: it says where it listens, serves, and stops cleanly when told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1.reward_pb2_grpc import RewardServiceStub

CODE = "import sys; from rewardmesh.router.cli import main; sys.exit(main())"
MESH = "listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\nsources: {zoo: counting}\nrewards: {counting: {}, unloadable: {}}\n"


@contextmanager
def up(tmp_path: Path, mesh: str, engine: str = "local", **environ: str) -> Generator[subprocess.Popen[str]]:
    path = tmp_path / "mesh.yaml"
    path.write_text(mesh)
    command = [sys.executable, "-c", CODE, "up", "--engine", engine, "--config", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environ
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def banner(process: subprocess.Popen[str]) -> tuple[str, str, list[str]]:
    """Where the router listens, where its metrics are, and the lines of its rewards."""
    assert process.stdout is not None
    first, second, *rewards = [process.stdout.readline() for _ in range(4)]
    listens, metrics = re.search(r"listens on (\S+)$", first), re.search(r"metrics on (http://\S+)$", second)
    assert listens is not None, first or process.communicate()[1]
    assert metrics is not None, second
    return listens[1], metrics[1], rewards


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_serves_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with up(tmp_path, MESH) as process:
        target, metrics, rewards = banner(process)
        assert re.fullmatch(r"  counting +ready, version \S+\n", rewards[0])
        assert "NOT READY" in rewards[1]
        assert "no_such_module" in rewards[1]
        with grpc.insecure_channel(target) as channel:
            stub: Any = RewardServiceStub(channel)
            reference = pb.Reference(count=pb.CountReference(count=3))
            rollout = pb.Rollout(id="a", completion="3", reference=reference, source="zoo")
            response = stub.Score(pb.ScoreRequest(rollouts=[rollout]), timeout=60)
        assert response.verdicts[0].score.value == 1.0
        with urllib.request.urlopen(metrics) as answer:
            counted = 'rewardmesh_outcomes_total{outcome="score",reason="ok",reward="counting",source="zoo"} 1.0'
            assert counted in answer.read().decode()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out == "stopping\nstopped\n"
        logs = [json.loads(line) for line in err.splitlines()]
        assert logs
        assert {"time", "level", "logger", "message"} <= logs[0].keys()
        assert not [entry for entry in logs if entry["level"] == "error"]


def test_a_source_with_options_of_its_own_is_scored_and_counted_apart(tmp_path: Path) -> None:
    mesh = MESH.replace("counting: {}", "counting: {sources: {farm: {thinking: [[<aside>, </aside>]]}}}")
    with up(tmp_path, mesh + "thinking: [[<plan>, </plan>]]\n") as process:
        target, metrics, _ = banner(process)
        texts = {"<plan>4</plan>3": "zoo", "<aside>4</aside>3": "farm"}
        rollouts = [
            pb.Rollout(
                id=text, completion=text, reference=pb.Reference(count=pb.CountReference(count=3)), source=source
            )
            for text, source in texts.items()
        ]
        with grpc.insecure_channel(target) as channel:
            stub: Any = RewardServiceStub(channel)
            response = stub.Score(pb.ScoreRequest(rollouts=rollouts), timeout=60)
        assert [verdict.score.value for verdict in response.verdicts] == [1.0, 1.0]
        with urllib.request.urlopen(metrics) as answer:
            scraped = answer.read().decode()
        for source in texts.values():
            assert f'outcome="score",reason="ok",reward="counting",source="{source}"}} 1.0' in scraped


def test_a_reader_of_the_banner_who_leaves_does_not_cost_the_calls_in_flight(tmp_path: Path) -> None:
    with up(tmp_path, MESH.replace("unloadable", "patient_hazard")) as process:
        target, metrics, _ = banner(process)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as `head` does
        with grpc.insecure_channel(target) as channel:
            stub: Any = RewardServiceStub(channel)
            rollout = pb.Rollout(id="a", completion="sleep 1", task="patient_hazard")
            call = stub.Score.future(pb.ScoreRequest(rollouts=[rollout]), timeout=60)
            while "rewardmesh_rollouts_in_flight 1.0" not in urllib.request.urlopen(metrics).read().decode():
                pass
            process.send_signal(signal.SIGTERM)
            assert call.result().verdicts[0].HasField("score")
        assert process.wait(timeout=60) == 0
        assert {json.loads(line)["level"] for line in process.stderr} == {"info"}


def test_tasks_that_no_reward_scores_are_told_at_once(tmp_path: Path) -> None:
    rules = "rules: [{pattern: Where, task: grounding}, {pattern: many, task: counting}]\n"
    with up(tmp_path, MESH.replace("{zoo:", "{lost: nobody, zoo:") + rules) as process:
        banner(process)
        assert process.stdout is not None
        missing = "nobody (source lost), grounding (rule 'Where')"
        assert process.stdout.readline() == f"WARNING: mesh.yaml names tasks that no reward scores: {missing}\n"


def test_ray_logs_as_json_too(tmp_path: Path) -> None:
    with up(tmp_path, MESH, "serve") as process:
        _, _, rewards = banner(process)
        assert re.fullmatch(r"  counting +ready, version \S+\n", rewards[0])
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "ray.serve" in {json.loads(line)["logger"] for line in err.splitlines()}


def test_a_signal_while_rewards_load_stops_it(tmp_path: Path) -> None:
    # These start processes of their own, which must not outlive the router.
    with up(tmp_path, MESH.replace("counting: {},", "math: {}, isolated_hazard: {},")) as process:
        assert process.stderr is not None
        assert "starting rewards: math" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)  # ends only when every child has closed the pipes
        assert process.returncode == 0
        assert out.endswith("stopped\n")


def test_a_signal_while_ray_starts_stops_it_without_a_stack_dump(tmp_path: Path) -> None:
    with up(tmp_path, MESH, "serve") as process:
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or json.loads(lines[-1])["logger"] != "ray.serve":  # Ray is there, the rewards are not
            lines.append(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "stopped\n")
        assert {json.loads(line)["level"] for line in err.splitlines()} <= {"info"}


@pytest.mark.parametrize("field", ["listen", "metrics"])
def test_a_taken_port_is_one_line(tmp_path: Path, field: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up(tmp_path, MESH, **{f"REWARDMESH_{field.upper()}": f"127.0.0.1:{port}"}) as process:
            out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert f"127.0.0.1:{port}" in err


def test_other_machines_need_a_word(tmp_path: Path) -> None:
    with up(tmp_path, MESH.replace("listen: 127.0.0.1", "listen: 0.0.0.0")) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("rewardmesh: ")
    assert "insecure: true" in err
