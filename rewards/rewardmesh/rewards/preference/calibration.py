"""Maps a reward model's raw scores to [0, 1] with two frozen numbers."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "calibration.json"
METHOD = "sigmoid"


@dataclass(frozen=True, slots=True)
class Calibration:
    """sigmoid((raw - mu) / temperature).

    A plain sigmoid saturates: raw scores have any offset and any scale. Running statistics would give one rollout
    another score tomorrow. So the two numbers are fitted once, on held-out data, and stored in the checkpoint.

    Attributes:
        mu: The raw score that maps to 0.5, finite.
        temperature: The scale of raw scores, finite and above 0.
        data: Digest of the texts it was fitted on.

    Raises:
        ValueError: A number is out of range.
    """

    mu: float
    temperature: float
    data: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"needs a finite mu and a temperature above 0, got {self.mu!r} and {self.temperature!r}")

    @classmethod
    def fit(cls, raw: Sequence[float], data: str) -> Calibration:
        """Fits raw scores of held-out completions, good and bad ones as they will come.

        A logistic distribution has the sigmoid as its distribution function and the deviation `scale * pi / sqrt(3)`,
        so this temperature spreads scores about evenly over [0, 1].

        Raises:
            ValueError: There are fewer than two scores, all are the same, or one is not finite.
        """
        if not all(map(math.isfinite, raw)):
            raise ValueError("cannot calibrate on raw scores that are not finite: the model is broken")
        return cls(statistics.fmean(raw), statistics.stdev(raw) * math.sqrt(3) / math.pi, data)

    def __call__(self, raw: float) -> float:
        """The value in [0, 1] of a finite raw score."""
        x = (raw - self.mu) / self.temperature
        e = math.exp(-abs(x))  # at most 1: never overflows
        return 1 / (1 + e) if x >= 0 else e / (1 + e)

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Reads a checkpoint's calibration.

        Raises:
            OSError: It has none.
            ValueError: The file is no calibration.
        """
        fields: Any = json.loads((folder / FILE).read_text(encoding="utf-8"))
        try:
            if fields["method"] != METHOD:
                raise ValueError(f"{FILE}: expected method {METHOD!r}, got {fields['method']!r}")
            return cls(float(fields["mu"]), float(fields["temperature"]), str(fields["data"]))
        except (KeyError, TypeError) as error:
            wanted = '{"method": "sigmoid", "mu": 0.0, "temperature": 1.0, "data": "..."}'
            raise ValueError(f"{FILE} must look like {wanted}, got {fields!r:.100}") from error

    def save(self, folder: Path) -> None:
        """Writes it into a checkpoint folder."""
        fields = {"method": METHOD, **asdict(self)}
        (folder / FILE).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
