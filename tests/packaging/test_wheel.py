"""The wheel: five roots, no tests, and a trainer gets grpcio and protobuf with it and nothing heavy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_the_five_roots_and_no_tests(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"rewardmesh", next(top for top in tops if top.endswith(".dist-info"))}
    packages = {name.split("/")[1] for name in names if name.startswith("rewardmesh/")}
    assert packages == {"v1", "contract", "rewards", "models", "services", "router", "trainer_client"}
    assert not [name for name in names if "tests" in name.split("/") or re.search(r"(^|/)(test_|conftest)", name)]
    assert "rewardmesh/v1/reward.proto" in names


def test_without_extras_it_needs_grpcio_and_protobuf(wheel: Path) -> None:
    archive = ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    requirements = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    always = [requirement for requirement in requirements if "extra ==" not in requirement]
    assert sorted(re.split(r"[^\w-]", requirement)[0] for requirement in always) == ["grpcio", "protobuf"]


def test_installing_it_brings_three_small_packages(wheel: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-"]
    report = subprocess.run([*command, str(wheel)], check=True, capture_output=True, text=True).stdout
    brought = {item["metadata"]["name"].replace("_", "-") for item in json.loads(report)["install"]}
    assert brought == {"rewardmesh", "grpcio", "protobuf", "typing-extensions"}
