"""Do two tasks' gradients pull the same way? Cosines, and how much of them is noise. Pure functions of tensors.

Gradients of a few groups are mostly noise, and independent noise is orthogonal: a cosine near 0 may mean that two tasks
have nothing to do with each other, or that nothing was measured. Halves of one task tell the two apart: they share the
signal, and their cosine says how much of it there is.
"""

from __future__ import annotations

import torch
from torch import Tensor

# A half whose cosine with the other is below this is noise: dividing by it would blow the noise up tenfold.
MIN_RELIABILITY = 0.1


def cosine(one: Tensor, other: Tensor) -> float | None:
    """The cosine of two flat vectors, in [-1, 1], computed in float64; None when one of them is 0."""
    a, b = one.double(), other.double()
    lengths = float(a.norm() * b.norm())
    return max(-1.0, min(1.0, float(torch.dot(a, b)) / lengths)) if lengths > 0.0 else None


def reliability(halves: float) -> float:
    """The share of signal in the sum of two halves that have this cosine: 2c / (1 + c).

    Spearman (1910) and Brown (1910): with signal S and independent noise N in each half, c = S / (S + N), and the sum
    of both holds 4S to 2N.
    """
    return 2.0 * halves / (1.0 + halves) if halves > -1.0 else -1.0


def corrected(between: float | None, one: float | None, other: float | None) -> float | None:
    """The cosine of two tasks' gradients as it would be without noise: c / sqrt(r_a r_b), within [-1, 1].

    Spearman's correction for attenuation (1904).

    Args:
        between: Cosine of the two tasks' whole gradients.
        one: Cosine of the first task's halves.
        other: Cosine of the second's.

    Returns:
        None where a cosine is missing or a task's halves agree so little that nothing can be said.
    """
    if between is None or one is None or other is None or min(one, other) < MIN_RELIABILITY:
        return None
    return max(-1.0, min(1.0, between / (reliability(one) * reliability(other)) ** 0.5))
