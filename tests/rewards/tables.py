"""Reads the tables of cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_CASES = Path(__file__).parents[1] / "cases"


def table(name: str) -> list[Any]:
    """The rows of tests/cases/<name>.jsonl as pytest parameters, named by line."""
    lines = (_CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [pytest.param(json.loads(line), id=f"line{i}") for i, line in enumerate(lines, 1)]
