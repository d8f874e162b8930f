"""Runs all benchmarks, one after the other, and writes one table.

    python -m tests.bench [--math-corpus FILE] [--visual-answers FILE] [--out FILE]

Each benchmark's last line is one JSON object; the table has a row for each of its figures. The math benchmarks need a
corpus and are left out without one. Exits with 1 if a benchmark failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Runs them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="All benchmarks, one table.")
    parser.add_argument("--math-corpus", help="JSON lines for the math benchmarks; see tests/bench/math.py")
    parser.add_argument("--visual-answers", help="JSON lines for the visual benchmark; see tests/bench/visual.py")
    parser.add_argument("--out", type=Path, default=Path("bench.md"), help="where to write the table")
    options = parser.parse_args()
    runs: dict[str, list[str]] = {
        "visual": ["visual", *(["--answers", options.visual_answers] if options.visual_answers else [])],
        "preference": ["preference"],
        "router, local": ["router", "--engine", "local"],
        "router, serve": ["router", "--engine", "serve"],
        "overload": ["overload"],
        "cache": ["cache"],
        "demo": ["demo"],
        "trainer": ["trainer"],
        "ray train": ["ray_train"],
    }
    if options.math_corpus:
        runs["math"] = ["math", "--corpus", options.math_corpus]
        runs["math service"] = ["math_service", "--corpus", options.math_corpus]
    rows, failed = ["| benchmark | figure | value |", "|---|---|---|"], False
    for name, (module, *arguments) in runs.items():
        sys.stdout.write(f"== {name}\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        sys.stdout.write(done.stdout)
        if done.returncode:
            failed = True
            rows.append(f"| {name} | | failed with {done.returncode} |")
            continue
        rows += [
            f"| {name} | {figure} | {value} |" for figure, value in _flat(json.loads(done.stdout.splitlines()[-1]))
        ]
    options.out.write_text("\n".join(rows) + "\n", encoding="utf-8")
    sys.stdout.write(f"{options.out}\n")
    return int(failed)


def _flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found


if __name__ == "__main__":
    sys.exit(main())
