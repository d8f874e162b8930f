"""The way of a rollout: one verdict each, in order, whatever is wrong with its neighbours or with the engine."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import Image, Rollout, Score, Verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.reference import CountReference, FreeReference, MathReference
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline, check_size
from rewardmesh.router.settings import Limits, Settings
from rewardmesh.services.engine import Engine, RewardStatus
from rewardmesh.v1 import reward_pb2 as pb

SETTINGS = Settings(sources={"zoo": "counting", "lost": "nobody"})
THREE = CountReference(3)
FREE_COUNT = pb.Reference(free=pb.FreeReference(type="count"))  # no client of ours can make one


def count(id: str, answer: object = 3, **fields: Any) -> Envelope:
    return Envelope.seal(Rollout(id, str(answer), reference=THREE, **fields))


def sleep(id: str, seconds: float) -> Envelope:
    return Envelope.seal(Rollout(id, f"sleep {seconds}", task="patient_hazard"))


def made(engine: Engine, settings: Settings = SETTINGS) -> tuple[Pipeline, Metrics]:
    metrics = Metrics(settings.sources)
    return Pipeline(engine, settings, metrics), metrics


def kinds(verdicts: Sequence[Verdict]) -> list[str]:
    return [v.failure.kind if v.failure else "score" for v in verdicts]


def in_flight(metrics: Metrics) -> float:
    [sample] = [s for m in metrics.collect() for s in m.samples if s.name == "rewardmesh_rollouts_in_flight"]
    return sample.value


def counted(metrics: Metrics) -> dict[str, float]:
    return {s.labels["outcome"]: s.value for m in metrics.collect() for s in m.samples if s.labels.get("outcome")}


async def test_a_mixed_message_is_answered_in_order(engine: Engine) -> None:
    pipeline, _ = made(engine)
    verdicts = await pipeline.score(
        [
            count("a"),
            Envelope.seal(Rollout("b", r"\boxed{\frac{1}{2}}", reference=MathReference(("0.5",)))),
            count("c", 4),
            Envelope.seal(Rollout("d", "short", reference=FreeReference("brevity", {}))),
        ]
    )
    assert [v.id for v in verdicts] == ["a", "b", "c", "d"]
    assert [v.reward for v in verdicts] == ["counting", "math", "counting", "brevity"]
    assert [v.score and v.score.value for v in verdicts] == [1.0, 1.0, 0.0, 1 / 6]
    assert all(v.queued > 0 and v.seconds > 0 and v.digest and v.task == v.reward for v in verdicts)


async def test_what_is_wrong_with_one_rollout_stays_with_it(engine: Engine) -> None:
    pipeline, _ = made(engine)
    verdicts = await pipeline.score(
        [
            count("good"),
            Envelope(pb.Rollout(completion="3", task="counting")),  # no id
            count("good", 7),  # an id that was there before
            Envelope(pb.Rollout(id="silent", task="counting")),  # no completion
            count("long", "3" * (5 * 2**20)),
            Envelope.seal(Rollout("poem", "x", reference=FreeReference("brevity", {"text": "x" * 70_000}))),
            Envelope.seal(Rollout("picture", "3", reference=THREE, images=(Image(b"x" * (9 * 2**20)),))),
            Envelope.seal(Rollout("task", "x", task="poetry")),
            Envelope.seal(Rollout("source", "x", source="new")),
            Envelope.seal(Rollout("lost", "x", source="lost")),
            Envelope.seal(Rollout("untrue", "3", task="counting")),  # no reference
            Envelope(pb.Rollout(id="json", completion="x", task="counting", metadata_json="{")),
            Envelope(pb.Rollout(id="free", completion="3", reference=FREE_COUNT)),
            Envelope.seal(Rollout("dead", "x", task="unloadable")),
            count("last"),
        ]
    )
    assert kinds(verdicts) == [
        "score",
        "invalid_rollout",
        "invalid_rollout",
        "invalid_rollout",
        "too_large",
        "too_large",
        "too_large",
        "unknown_reward",
        "unclassified",
        "unknown_reward",
        "invalid_reference",
        "invalid_rollout",
        "invalid_reference",
        "unavailable",
        "score",
    ]
    assert verdicts[1].id == ""
    assert verdicts[2].id == "good"
    for place, part in [(4, "completion"), (5, "reference"), (6, "images[0]")]:
        failure = verdicts[place].failure
        assert failure is not None
        assert failure.message.startswith(part)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.text("añ界", max_size=30), st.integers(0, 40))
def test_the_short_cut_of_the_size_check_lets_nothing_through(
    completion: int, reference: int, image: int, text: str, pixels: int
) -> None:
    limits = Limits(completion_bytes=completion, reference_bytes=reference, image_bytes=image)
    rollout = Rollout("r", text, reference=MathReference((text,)), images=(Image(b"x" * pixels),) if pixels else ())
    envelope = Envelope.seal(rollout)
    over = len(text.encode()) > completion or envelope.message.reference.ByteSize() > reference or pixels > image
    try:
        check_size(envelope, limits)
    except ValueError:
        assert over
    else:
        assert not over


async def test_every_rollout_without_an_id_is_told_so(engine: Engine) -> None:
    pipeline, _ = made(engine)
    verdicts = await pipeline.score([Envelope(pb.Rollout(completion="3", task=task)) for task in ("counting", "", "x")])
    assert [v.failure and v.failure.message for v in verdicts] == ["id is missing"] * 3


async def test_a_limit_is_the_last_size_that_passes(engine: Engine) -> None:
    pipeline, _ = made(engine, Settings(limits=Limits(completion_bytes=1, rollouts=2)))
    assert kinds(await pipeline.score([count("a"), count("b", 33)])) == ["score", "too_large"]
    assert kinds(await pipeline.score([count("a"), count("b"), count("c")])) == ["too_large"] * 3


async def test_an_empty_message_has_no_verdicts(engine: Engine) -> None:
    pipeline, _ = made(engine)
    assert await pipeline.score([]) == []


async def test_what_is_late_times_out_and_the_rest_is_scored(engine: Engine) -> None:
    pipeline, metrics = made(engine)
    half = Envelope.seal(Rollout("half", r"\boxed{\frac{1}{2}}", reference=MathReference(("0.5",))))
    brief = Envelope.seal(Rollout("brief", "short", task="brevity"))
    batch = [count("a"), sleep("slow", 60), half, brief, *(count(str(i)) for i in range(100))]
    verdicts = await pipeline.score(batch, timeout=1)
    assert kinds(verdicts) == ["score", "timeout", *["score"] * 102]
    assert verdicts[1].failure is not None
    assert verdicts[1].failure.retryable
    assert in_flight(metrics) == 0


async def test_a_deadline_of_a_millisecond_loses_nothing(engine: Engine) -> None:
    pipeline, _ = made(engine)
    batch = [count(str(i)) for i in range(300)] + [sleep("slow", 60)]
    verdicts = await pipeline.score(batch, timeout=0.001)
    assert [v.id for v in verdicts] == [e.id for e in batch]
    assert set(kinds(verdicts)) <= {"score", "timeout"}
    assert kinds(verdicts)[-1] == "timeout"
    again = [*batch[:-1], sleep("quick", 0)]
    assert kinds(await pipeline.score(again)) == ["score"] * 301  # the rewards are none the worse


async def test_the_default_timeout_applies(engine: Engine) -> None:
    pipeline, _ = made(engine, Settings(timeout_seconds=0.05))
    async with asyncio.timeout(20):
        assert kinds(await pipeline.score([sleep("slow", 60)])) == ["timeout"]


@pytest.mark.parametrize("timeout", [-1.0, math.nan, math.inf])
async def test_a_timeout_that_is_no_time_is_refused(engine: Engine, timeout: float) -> None:
    pipeline, _ = made(engine)
    assert kinds(await pipeline.score([count("a")], timeout)) == ["invalid_rollout"]


async def test_pins(engine: Engine) -> None:
    pipeline, _ = made(engine)
    digest = pipeline.rewards()["counting"].digest
    batch = [count("a"), Envelope.seal(Rollout("b", "hi", task="brevity"))]
    assert kinds(await pipeline.score(batch, pins={"counting": digest, "nobody": "x"})) == ["score", "score"]
    pinned, free = await pipeline.score(batch, pins={"counting": "0ld"})
    assert free.score is not None
    assert pinned.failure is not None
    assert (pinned.failure.kind, pinned.failure.retryable) == ("unavailable", False)
    assert digest in pinned.failure.message
    assert "0ld" in pinned.failure.message


async def test_cancelling_cancels_the_engine_and_is_counted(engine: Engine) -> None:
    pipeline, metrics = made(engine)
    scoring = asyncio.create_task(pipeline.score([sleep("a", 600)]))
    async with asyncio.timeout(60):
        while not in_flight(metrics):  # noqa: ASYNC110 - a gauge cannot be awaited
            await asyncio.sleep(0)
    scoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scoring
    assert in_flight(metrics) == 0
    assert counted(metrics) == {"cancelled": 1}


async def test_every_verdict_is_counted_by_the_time_the_loop_goes_on(engine: Engine) -> None:
    pipeline, metrics = made(engine)
    await pipeline.score([count("a"), count("b"), Envelope(pb.Rollout(completion="3", task="counting"))])
    await asyncio.sleep(0)
    assert counted(metrics) == {"score": 2, "invalid_rollout": 1}


class BrokenEngine:
    """Breaks its promises, one way each."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def status(self) -> Mapping[str, RewardStatus]:
        if self.way == "status":
            raise KeyError("status")
        return {"counting": RewardStatus("counting", "1", "new", ("counting",), True)}

    def targets(self, reward: str) -> int:
        return 1 if self.way == "stuck" else 0

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        good = [Verdict(e.id, Score(1.0), e.task, reward, "1", "other") for e in batch]
        match self.way:
            case "raises":
                raise ZeroDivisionError("told to")
            case "cancels":
                raise asyncio.CancelledError
            case "short":
                return good[:-1]
            case "long":
                return [*good, good[0]]
            case "shuffled":
                return good[::-1]
            case "stuck":
                self.entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
            case _:
                pass
        return good


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("status", "reward_error"),
        ("raises", "reward_error"),
        ("cancels", "timeout"),
        ("short", "reward_error"),
        ("long", "reward_error"),
        ("shuffled", "reward_error"),
        ("stuck", "timeout"),
        ("another digest", "unavailable"),
    ],
)
async def test_a_broken_engine_costs_failures_never_scores(way: str, kind: str) -> None:
    pipeline, metrics = made(BrokenEngine(way))
    verdicts = await pipeline.score([count("a"), count("b")], timeout=0.01, pins={"counting": "new"})
    assert [v.id for v in verdicts] == ["a", "b"]
    assert kinds(verdicts) == [kind, kind]
    assert in_flight(metrics) == 0


async def test_a_reward_that_is_not_the_pinned_one_is_not_even_asked() -> None:
    engine = BrokenEngine("stuck")
    verdicts = await made(engine)[0].score([count("a")], timeout=0.01, pins={"counting": "0ld"})
    assert kinds(verdicts) == ["unavailable"]
    assert not engine.entered.is_set()


async def test_a_stuck_engine_is_cancelled_at_the_deadline() -> None:
    engine = BrokenEngine("stuck")
    await made(engine)[0].score([count("a")], timeout=0.01)
    await engine.cancelled.wait()


async def test_a_stuck_engine_is_cancelled_with_the_call() -> None:
    engine = BrokenEngine("stuck")
    scoring = asyncio.create_task(made(engine)[0].score([count("a")]))
    await engine.entered.wait()
    scoring.cancel()
    await engine.cancelled.wait()
