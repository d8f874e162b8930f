"""What dashboards see: Prometheus metrics on a port of their own.

Histograms are lists of counts behind a custom collector: an observation costs a tenth of prometheus_client's own, and
every rollout makes two. Labels are bounded: rewards and sources are those of mesh.yaml, reasons are capped.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from threading import Thread
from typing import TypeAlias
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rewardmesh.contract.verdict import REASON, Score, Verdict
from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.settings import Address

# 50 us to 13 s in steps of sqrt(2): rule rewards take tens of microseconds, models seconds.
SECONDS = tuple(50e-6 * math.sqrt(2) ** k for k in range(37))
SIZES = tuple(float(2**k) for k in range(11))  # 1 to 1024, the default limit of a message
MAX_REASONS = 64  # distinct reasons per reward; our own have a few dozen, a plugin may invent one per rollout
OTHER = "other"

Labels: TypeAlias = tuple[str, ...]


class Histogram:
    """Counts of observations by upper bound (inclusive), and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Counts one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by bound as Prometheus writes them, and the sum."""
        total = 0
        out: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, math.inf), list(self._counts), strict=True):
            total += count
            out.append(("+Inf" if bound == math.inf else f"{bound:.6g}", total))
        return out, self._sum


class Metrics(Collector):
    """All metrics of one router. Written on the event loop, read by the threads that answer scrapes.

    Args:
        sources: Names that may label metrics; any other source is "other".
        cache: Whose counters are told, too.

    Attributes:
        in_flight: Rollouts that are being scored.
    """

    def __init__(self, sources: Collection[str] = (), cache: ScoreCache | None = None) -> None:
        self._cache = cache
        self._sources = frozenset(sources)
        self._seconds: dict[Labels, Histogram] = {}
        self._queued: dict[Labels, Histogram] = {}
        self._batches: dict[Labels, Histogram] = {}
        self._outcomes: dict[Labels, int] = {}
        self._reasons: dict[str, set[str]] = {}
        self.in_flight = 0
        self._served: tuple[WSGIServer, Thread] | None = None

    def batch(self, reward: str, size: int) -> None:
        """Counts one batch sent to a reward."""
        _histogram(self._batches, (reward,), SIZES).observe(size)

    def record(self, verdicts: Iterable[Verdict], sources: Iterable[str]) -> None:
        """Counts a message's verdicts, each with its rollout's source."""
        for verdict, source in zip(verdicts, sources, strict=True):
            reward, outcome = verdict.reward, verdict.outcome
            labels = (reward, source if source in self._sources else OTHER)
            if isinstance(outcome, Score):
                key = (*labels, "score", self._reason(reward, outcome.reason))
                _histogram(self._queued, labels, SECONDS).observe(verdict.queued)
                if not verdict.cached:
                    _histogram(self._seconds, labels, SECONDS).observe(verdict.seconds)
            else:
                key = (*labels, outcome.kind, "")
            self._outcomes[key] = self._outcomes.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Called by the registry on every scrape."""
        labels = ["reward", "source"]
        yield _family("rewardmesh_scoring_seconds", "Seconds a Score took its reward", labels, self._seconds)
        yield _family("rewardmesh_queue_seconds", "Seconds from arrival until a reward had it", labels, self._queued)
        yield _family("rewardmesh_batch_rollouts", "Rollouts per batch sent to a reward", ["reward"], self._batches)
        outcomes = CounterMetricFamily(
            "rewardmesh_outcomes",
            "Verdicts; outcome is score or the kind of failure",
            labels=[*labels, "outcome", "reason"],
        )
        for key, count in list(self._outcomes.items()):
            outcomes.add_metric(key, count)
        yield outcomes
        if self._cache is not None:
            looks = CounterMetricFamily(
                "rewardmesh_cache", "Scores looked for or sent, by what came of it", labels=["event"]
            )
            for event, count in asdict(self._cache.counters).items():
                looks.add_metric([event], count)
            yield looks
            yield GaugeMetricFamily("rewardmesh_cache_bytes", "Scores in this process", value=self._cache.lru_bytes)
        yield GaugeMetricFamily("rewardmesh_rollouts_in_flight", "Rollouts being scored", value=self.in_flight)
        build = GaugeMetricFamily("rewardmesh_build_info", "Always 1", labels=["version"])
        build.add_metric([version("rewardmesh")], 1)
        yield build

    def serve(self, address: Address) -> Address:
        """Answers scrapes from a thread until `close`; returns where. Raises OSError when it cannot listen there."""
        registry = CollectorRegistry()
        registry.register(self)
        self._served = start_http_server(address.port, address.host, registry)
        return Address(address.host, self._served[0].server_port)

    def close(self) -> None:
        """Stops answering scrapes."""
        if self._served is not None:
            server, thread = self._served
            server.shutdown()
            server.server_close()
            thread.join()
            self._served = None

    def _reason(self, reward: str, reason: str) -> str:
        known = self._reasons.setdefault(reward, set())
        if reason not in known:
            # One text that cannot be encoded would fail every scrape from now on, so the Score's word is not enough.
            if len(known) >= MAX_REASONS or not REASON.fullmatch(reason):
                return OTHER
            known.add(reason)
        return reason


def _histogram(family: dict[Labels, Histogram], labels: Labels, bounds: Sequence[float]) -> Histogram:
    found = family.get(labels)
    if found is None:
        found = family[labels] = Histogram(bounds)
    return found


def _family(name: str, help: str, labels: list[str], family: dict[Labels, Histogram]) -> HistogramMetricFamily:
    out = HistogramMetricFamily(name, help, labels=labels)
    for values, histogram in list(family.items()):  # a copy: the event loop adds labels meanwhile
        buckets, total = histogram.buckets()
        out.add_metric(values, buckets, total)
    return out
