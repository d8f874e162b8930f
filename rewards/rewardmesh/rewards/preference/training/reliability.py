"""How far a reward model's scores can be trusted, measured on held-out pairs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

BINS = 10


def accuracy(scores: Iterable[tuple[float, float]]) -> float:
    """Share of (chosen, rejected) raw scores whose first is higher, in [0, 1]; a tie counts half. NaN without any."""
    points = [won(chosen, rejected) for chosen, rejected in scores]
    return statistics.fmean(points) if points else math.nan


def won(chosen: float, rejected: float) -> float:
    """1 if the chosen completion scores higher, 0.5 in a tie, else 0. A score that is no number wins nothing."""
    return 1.0 if chosen > rejected else 0.5 if chosen == rejected else 0.0


def calibration_error(scores: Sequence[tuple[float, float]]) -> float | None:
    """Expected calibration error (Guo et al., arXiv 1706.04599, equation 3) of Bradley-Terry's probability.

    The model's confidence in a pair is the larger of sigmoid(r_c - r_r) and its complement, and it is right if the
    chosen completion scores higher.

    Args:
        scores: Raw scores of (chosen, rejected), finite.

    Returns:
        The mean over `BINS` equal bins of [0.5, 1], weighted by their pairs, of |confidence - accuracy|; None without
        pairs.
    """
    bins: list[list[tuple[float, float]]] = [[] for _ in range(BINS)]
    for chosen, rejected in scores:
        confidence = 1 / (1 + math.exp(-abs(chosen - rejected)))
        bins[min(BINS - 1, int((confidence - 0.5) * 2 * BINS))].append((confidence, won(chosen, rejected)))
    gaps = [len(b) * abs(statistics.fmean(c for c, _ in b) - statistics.fmean(w for _, w in b)) for b in bins if b]
    return sum(gaps) / len(scores) if scores else None


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's r, in [-1, 1]; None where it is not defined: a constant, or fewer than two values."""
    if len(xs) < 2 or len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    return statistics.correlation(xs, ys)
