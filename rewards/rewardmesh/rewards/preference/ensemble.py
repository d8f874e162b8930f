"""Several reward models as one that is harder to exploit: what only some of them like is not paid in full."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, pstdev

from rewardmesh.rewards.preference.judged import Judged
from rewardmesh.rewards.preference.options import Ensemble


def combined(judged: Mapping[str, Judged], how: Ensemble, penalty: float) -> tuple[float, float]:
    """Value in [0, 1] and raw score of several models' judgements.

    Args:
        judged: By model, at least one.
        how: "min": the lowest value, and its raw score. "mean_minus_sd": the mean less `penalty` times the standard
            deviation (of the population), at least 0; of the raw scores too (worst-case and uncertainty-weighted
            optimisation of arXiv 2310.02743).
        penalty: At least 0.
    """
    if how == "min":
        lowest = min(judged.values(), key=lambda each: each.value)
        return lowest.value, lowest.raw
    values, raws = [each.value for each in judged.values()], [each.raw for each in judged.values()]
    return max(0.0, fmean(values) - penalty * pstdev(values)), fmean(raws) - penalty * pstdev(raws)
