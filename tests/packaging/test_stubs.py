"""The committed stubs are what reward.proto says, and load with every protobuf we promise."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STUBS = REPOSITORY / "proto/rewardmesh/v1"
TOOLS = "grpcio-tools==1.76.0"  # the newest whose stubs load on protobuf 6


@pytest.fixture(scope="module")
def protoc(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The compiler in an environment of its own: its protobuf is older than ours."""
    environment = tmp_path_factory.mktemp("protoc")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--only-binary", ":all:", TOOLS], check=True)
    return [str(python), "-m", "grpc_tools.protoc"]


def test_the_stubs_are_current(protoc: list[str], tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([*protoc, "-Iproto", *outputs, "rewardmesh/v1/reward.proto"], cwd=REPOSITORY, check=True)
    generated = sorted((tmp_path / "rewardmesh/v1").iterdir())
    assert [path.name for path in generated] == ["reward_pb2.py", "reward_pb2.pyi", "reward_pb2_grpc.py"]
    for path in generated:
        assert (STUBS / path.name).read_text() == path.read_text(), f"{path.name} is stale: run `make stubs`"


def test_the_stubs_load_on_the_oldest_protobuf_we_promise() -> None:
    stamped = re.search(r"# Protobuf Python Version: ([\d.]+)", (STUBS / "reward_pb2.py").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert stamped
    assert f"protobuf>={stamped[1]},<8" in project["dependencies"]
