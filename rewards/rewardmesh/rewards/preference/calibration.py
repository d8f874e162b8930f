"""Maps a reward model's raw scores to [0, 1] with frozen numbers."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast, get_args

FILE = "calibration.json"
Method = Literal["sigmoid", "reference_centred"]
METHODS: tuple[Method, ...] = get_args(Method)
# arXiv 2502.18770 (PAR): the temperature of its experiments, and from how many references on more gain nothing.
REFERENCE_TEMPERATURE = 3.0
REFERENCES = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """sigmoid((raw - mu) / temperature), or how the score compares with those of reference answers.

    A plain sigmoid saturates: raw scores have any offset and any scale. Running statistics would give one rollout
    another score tomorrow. So the numbers are fitted once, on held-out data, and stored in the checkpoint.

    Attributes:
        mu: The raw score that maps to 0.5, finite. Not used by "reference_centred".
        temperature: The scale of raw scores, finite and above 0.
        data: Digest of the texts it was fitted on.
        method: "sigmoid"; or "reference_centred" (PAR, arXiv 2502.18770): the mean over references m of
            sigmoid((raw - raw_m) / temperature).
        references: How many reference answers a prompt should have; 0 for "sigmoid".
        ece: Expected calibration error of sigmoid(raw_chosen - raw_rejected) on held-out pairs, in [0, 1], if measured.
        length_correlation: Pearson's r of the raw score with the completion's tokens on the same, if measured.
        samples: How many completions it was fitted on.

    Raises:
        ValueError: A number is out of range, or there is no such method.
    """

    mu: float
    temperature: float
    data: str
    method: Method = "sigmoid"
    references: int = 0
    ece: float | None = None
    length_correlation: float | None = None
    samples: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"{FILE}: expected method {' or '.join(map(repr, METHODS))}, got {self.method!r}")
        if not (math.isfinite(self.mu) and math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"needs a finite mu and a temperature above 0, got {self.mu!r} and {self.temperature!r}")
        if self.references < 0 or (self.method == "reference_centred") != (self.references > 0):
            raise ValueError(f"{FILE}: the method {self.method!r} cannot have {self.references} references")

    @classmethod
    def fit(cls, raw: Sequence[float], data: str) -> Calibration:
        """Fits the sigmoid to raw scores of held-out completions, good and bad ones as they will come.

        A logistic distribution has the sigmoid as its distribution function and the deviation `scale * pi / sqrt(3)`,
        so this temperature spreads scores about evenly over [0, 1].

        Raises:
            ValueError: There are fewer than two scores, all are the same, or one is not finite.
        """
        if not all(map(math.isfinite, raw)):
            raise ValueError("cannot calibrate on raw scores that are not finite: the model is broken")
        if len(raw) < 2 or len(set(raw)) < 2:
            raise ValueError(f"cannot fit a temperature to {len(raw)} raw scores that do not differ")
        temperature = statistics.stdev(raw) * math.sqrt(3) / math.pi
        return cls(statistics.fmean(raw), temperature, data, samples=len(raw))

    def __call__(self, raw: float, references: Sequence[float] = ()) -> float:
        """The value in [0, 1] of a finite raw score.

        Args:
            raw: The completion's score.
            references: Raw scores of reference answers to the same prompt; "sigmoid" leaves them alone.

        Raises:
            ValueError: The method is "reference_centred" and there are none.
        """
        if self.method == "sigmoid":
            return _sigmoid((raw - self.mu) / self.temperature)
        if not references:
            raise ValueError("the calibration compares with reference answers, and there are none")
        return statistics.fmean(_sigmoid((raw - reference) / self.temperature) for reference in references)

    @property
    def summary(self) -> str:
        """All of it in a line for a person."""
        numbers = (
            f"{self.references} references a prompt, temperature {self.temperature:.4g}"
            if self.references
            else f"mu {self.mu:.4g}, temperature {self.temperature:.4g}"
        )
        ece = "" if self.ece is None else f", expected calibration error {self.ece:.3f}"
        length = "" if self.length_correlation is None else f", correlation with length {self.length_correlation:.2f}"
        return f"calibration {self.method}: {numbers}{ece}{length} ({self.samples} completions)"

    @property
    def digest(self) -> str:
        """12 hexadecimal digits of what decides its values: another digest may give another value."""
        told = (self.method, self.mu, self.temperature, self.references)
        return sha256(repr(told).encode()).hexdigest()[:12]

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Reads a checkpoint's calibration. What is not needed for values may be absent.

        Raises:
            OSError: It has none.
            ValueError: The file is no calibration.
        """
        fields: Any = json.loads((folder / FILE).read_text(encoding="utf-8"))
        try:
            return cls(
                mu=float(fields["mu"]),
                temperature=float(fields["temperature"]),
                data=str(fields["data"]),
                method=cast(Method, fields["method"]),
                references=int(fields.get("references", 0)),
                ece=_optional(fields.get("ece")),
                length_correlation=_optional(fields.get("length_correlation")),
                samples=int(fields.get("samples", 0)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            wanted = '{"method": "sigmoid", "mu": 0.0, "temperature": 1.0, "data": "..."}'
            raise ValueError(f"{FILE} must look like {wanted}, got {fields!r:.100}") from error

    def save(self, folder: Path) -> None:
        """Writes it into a checkpoint folder."""
        fields = {"method": self.method, **asdict(self)}
        (folder / FILE).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def _sigmoid(x: float) -> float:
    e = math.exp(-abs(x))  # at most 1: never overflows
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
