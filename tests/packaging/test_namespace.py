"""Five source roots, one namespace: a stray `__init__.py` in one would hide the other four."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import rewardmesh

REPOSITORY = Path(__file__).parents[2]
ROOTS = ["proto", "rewards", "services", "router", "trainer_client"]


def test_no_root_is_a_regular_package() -> None:
    for root in ROOTS:
        assert (REPOSITORY / root / "rewardmesh").is_dir()
        assert not (REPOSITORY / root / "rewardmesh" / "__init__.py").exists()
    assert rewardmesh.__file__ is None


def test_every_root_is_on_the_namespaces_path() -> None:
    assert {Path(path) for path in rewardmesh.__path__} >= {REPOSITORY / root / "rewardmesh" for root in ROOTS}


def test_no_package_lies_in_two_roots() -> None:
    packages = [
        p.name for root in ROOTS for p in (REPOSITORY / root / "rewardmesh").iterdir() if p.name != "__pycache__"
    ]
    assert len(packages) == len(set(packages))


def test_a_trainer_imports_nothing_heavy() -> None:
    script = (
        "import sys, rewardmesh.contract, rewardmesh.trainer_client.client, rewardmesh.trainer_client.sync\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )
    assert {"grpc", "google"} <= loaded
    heavy = {"torch", "ray", "pydantic", "sympy", "transformers", "numpy", "redis", "shapely", "math_verify", "yaml"}
    assert not loaded & heavy
