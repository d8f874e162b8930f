"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CONTRACT = REPOSITORY / "proto/rewardmesh/contract"


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, those within functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    """Imports of what starts with one of `forbidden` and with none of `allowed`."""

    def below(module: str, tops: tuple[str, ...]) -> bool:
        return any(module == top or module.startswith(f"{top}.") for top in tops)

    files = sorted((REPOSITORY / folder).rglob("*.py"))
    assert files
    return [
        f"{path.relative_to(REPOSITORY)}: {module}"
        for path in files
        for module in imports(path)
        if below(module, forbidden) and not below(module, allowed) and module != "rewardmesh"
    ]


@pytest.mark.parametrize("noun", ["rollout", "reference", "verdict", "errors"])
def test_the_nouns_need_the_standard_library_only(noun: str) -> None:
    nouns = ("rollout", "reference", "verdict", "errors")
    for module in imports(CONTRACT / f"{noun}.py"):
        if module.startswith("rewardmesh"):
            assert module.startswith(tuple(f"rewardmesh.contract.{n}" for n in nouns)), module
        else:
            assert module.partition(".")[0] in sys.stdlib_module_names, module


def test_rewards_know_neither_the_wire_nor_the_cluster() -> None:
    assert not offenders("rewards/rewardmesh/rewards", ("google", "grpc", "ray", "redis", "rewardmesh.v1"))
    assert not offenders("rewards/rewardmesh/rewards", ("rewardmesh.contract.codec", "rewardmesh.contract.envelope"))


def test_models_know_nothing_of_ours() -> None:
    assert not offenders("rewards/rewardmesh/models", ("rewardmesh",), allowed=("rewardmesh.models",))


def test_a_trainer_knows_nothing_of_the_server() -> None:
    ours = ("rewardmesh.trainer_client", "rewardmesh.contract", "rewardmesh.models", "rewardmesh.v1")
    assert not offenders("trainer_client/rewardmesh", ("rewardmesh", "ray.serve"), allowed=ours)


def test_import_linter_agrees() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout
