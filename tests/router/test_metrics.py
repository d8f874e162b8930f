"""What Prometheus scrapes: counts that add up, labels that stay few."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rewardmesh.contract import Failure, Score, Verdict
from rewardmesh.router.metrics import MAX_REASONS, SECONDS, Histogram, Metrics
from rewardmesh.router.settings import Address


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(s.name, tuple(s.labels.values())): s.value for m in metrics.collect() for s in m.samples}


def scored(reason: str = "ok", **fields: float | bool) -> Verdict:
    return Verdict("r", Score(1.0, reason), "math", "math", **fields)  # pyright: ignore[reportArgumentType]


def test_buckets_run_from_fifty_microseconds_to_thirteen_seconds() -> None:
    assert len(SECONDS) == 37
    assert SECONDS[0] == 50e-6
    assert 13 < SECONDS[-1] < 13.2


@given(st.lists(st.floats(0, 100) | st.sampled_from(SECONDS)))
def test_a_histogram_counts_what_is_at_most_the_bound(values: list[float]) -> None:
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.observe(value)
    buckets, total = histogram.buckets()
    assert [count for _, count in buckets] == [sum(v <= b for v in values) for b in (*SECONDS, float("inf"))]
    assert total == pytest.approx(sum(values))
    assert buckets[-1] == ("+Inf", len(values))


def test_verdicts_are_counted_by_reward_source_outcome_and_reason() -> None:
    metrics = Metrics(["math500"])
    metrics.record([scored(seconds=0.001, queued=0.002)], ["math500"])
    metrics.record([scored(seconds=0.001, queued=0.002, cached=True)], ["math500"])
    metrics.record([scored("no_answer")], ["a data set nobody listed"])
    metrics.record([Verdict("r", Failure("timeout", "late"), "math", "math")], ["math500"])
    metrics.record([Verdict("r", Failure("unclassified", "?"))], [""])
    metrics.batch("math", 3)
    found = samples(metrics)
    assert found["rewardmesh_outcomes_total", ("math", "math500", "score", "ok")] == 2
    assert found["rewardmesh_outcomes_total", ("math", "other", "score", "no_answer")] == 1
    assert found["rewardmesh_outcomes_total", ("math", "math500", "timeout", "")] == 1
    assert found["rewardmesh_outcomes_total", ("", "other", "unclassified", "")] == 1
    assert found["rewardmesh_scoring_seconds_count", ("math", "math500")] == 1, "a cached score took no scoring"
    assert found["rewardmesh_queue_seconds_count", ("math", "math500")] == 2
    assert found["rewardmesh_queue_seconds_sum", ("math", "math500")] == pytest.approx(0.004)
    assert found["rewardmesh_batch_rollouts_sum", ("math",)] == 3


def test_reasons_are_capped() -> None:
    metrics = Metrics()
    for i in range(MAX_REASONS + 50):
        metrics.record([scored(f"reason_{i}")], [""])
    metrics.record([scored("reason_0")], [""])
    found = samples(metrics)
    reasons = {labels[3]: value for (name, labels), value in found.items() if name == "rewardmesh_outcomes_total"}
    assert len(reasons) == MAX_REASONS + 1
    assert reasons["other"] == 50
    assert reasons["reason_0"] == 2


@pytest.mark.parametrize("reason", ["\ud800", 'quote "\n', "Sentences, one per rollout."])
def test_a_reason_that_is_no_code_does_not_break_the_scrapes(reason: str) -> None:
    score = Score(1.0)
    object.__setattr__(score, "reason", reason)  # past the constructor, which would have refused it
    metrics = Metrics()
    metrics.record([Verdict("r", score, "math", "math")], [""])
    registry = CollectorRegistry()
    registry.register(metrics)
    assert 'outcome="score",reason="other",reward="math"' in generate_latest(registry).decode()


def test_what_is_in_flight_is_a_gauge() -> None:
    metrics = Metrics()
    metrics.in_flight += 5
    assert samples(metrics)["rewardmesh_rollouts_in_flight", ()] == 5


def test_prometheus_can_read_it_over_http() -> None:
    metrics = Metrics()
    metrics.record([scored(seconds=0.001)], ["x"])
    address = metrics.serve(Address("127.0.0.1", 0))
    try:
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            families = {f.name: f for f in text_string_to_metric_families(answer.read().decode())}
    finally:
        metrics.close()
    assert families["rewardmesh_scoring_seconds"].type == "histogram"
    assert families["rewardmesh_outcomes"].type == "counter"
    [build] = families["rewardmesh_build_info"].samples
    assert build.value == 1
    assert build.labels["version"]
    with socket.socket() as probe:  # closed: the port is free again
        assert probe.connect_ex((address.host, address.port)) != 0


def test_a_taken_port_is_an_error() -> None:
    first, second = Metrics(), Metrics()
    address = first.serve(Address("127.0.0.1", 0))
    try:
        with pytest.raises(OSError, match="in use"):
            second.serve(address)
    finally:
        first.close()
