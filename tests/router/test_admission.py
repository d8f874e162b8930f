"""What may wait for a reward is bounded, and what is refused is told when to come back."""

from __future__ import annotations

import time

import pytest

from rewardmesh.contract.errors import OverloadedError
from rewardmesh.router.admission import Admission


def refused(admission: Admission, reward: str = "slow", bytes: int = 1, left: float = 30.0) -> OverloadedError:
    with pytest.raises(OverloadedError) as raised:
        admission.enter(reward, 1, bytes, left)
    assert raised.value.retry_after_seconds > 0
    return raised.value


def test_rollouts_and_bytes_are_bounded_per_reward() -> None:
    admission = Admission(rollouts=3, bytes=100)
    for _ in range(3):
        admission.enter("slow", 1, 10, 30.0)
    assert "3 rollouts wait" in str(refused(admission))
    admission.enter("other", 1, 100, 30.0)
    refused(admission, "other")
    admission.leave("slow", 1, 10, 1)
    admission.enter("slow", 1, 80, 30.0)
    with pytest.raises(OverloadedError):
        admission.enter("many", 4, 10, 30.0)
    assert admission.waiting("many") == 0
    admission.enter("many", 3, 100, 30.0)
    admission.leave("slow", 3, 100, 3)
    assert admission.waiting("slow") == 0
    refused(admission, bytes=101)


def test_what_would_be_too_late_is_refused_at_once() -> None:
    admission = Admission(rollouts=10_000, bytes=10_000)
    for _ in range(10):
        admission.enter("slow", 1, 1, 30.0)
    time.sleep(0.1)
    admission.leave("slow", 1, 1, 1)  # a tenth of a second each
    for _ in range(91):
        admission.enter("slow", 1, 1, 30.0)
    error = refused(admission, left=1.0)
    for _ in range(10):
        admission.leave("slow", 5, 5, 0)  # given up on, which tells nothing of how long one takes
    refused(admission, left=1.0)
    assert 1.0 < error.retry_after_seconds <= 10.0
    admission.enter("slow", 1, 1, 60.0)  # who has time may wait
    admission.enter("fast", 1, 1, 0.1)  # and other rewards are unaffected


def test_an_idle_reward_takes_anything_in_time() -> None:
    admission = Admission(rollouts=10, bytes=100)
    admission.enter("slow", 1, 1, 30.0)
    time.sleep(0.05)
    admission.leave("slow", 1, 1, 1)
    admission.enter("slow", 1, 1, 0.001)
    assert admission.waiting("nobody") == 0


def test_a_rollout_is_taken_only_with_time_to_spare() -> None:
    """A mean is exceeded half of the time: three quarters of what is left may be spent on waiting."""
    admission = Admission(rollouts=10_000, bytes=10_000)
    admission.enter("slow", 1, 1, 30.0)
    time.sleep(0.1)
    admission.leave("slow", 1, 1, 1)
    assert admission.pace("slow") >= 0.1
    assert admission.pace("nobody") == 0.0
    for _ in range(10):
        admission.enter("slow", 1, 1, 30.0)
    wait = 10 * admission.pace("slow")
    refused(admission, left=wait / 0.8)
    admission.enter("slow", 1, 1, wait / 0.7)
