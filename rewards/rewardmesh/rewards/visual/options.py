"""Options that several of these rewards have, checked."""

from __future__ import annotations

from typing import cast


def penalty_option(value: object) -> float:
    """A reward's option `whole_penalty`.

    Args:
        value: The share of its score, 0 to 1, that an answer loses for covering the whole image or video where the
            reference does not.

    Raises:
        ValueError: It is no such share.
    """
    if type(value) not in (int, float) or not 0 <= cast(float, value) <= 1:
        raise ValueError(
            f"whole_penalty must be a number from 0 (none) to 1 (such answers earn nothing), got {value!r:.80}"
        )
    return float(cast(float, value))


def flag_option(name: str, value: object) -> bool:
    """An option that is on or off. Raises ValueError if it is neither: YAML's "no" in quotes is a text."""
    if type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {value!r:.80}")
    return value
