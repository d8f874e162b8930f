"""One suite over both engines: whatever a rollout or a reward does, every rollout gets its verdict and only its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.contract import CountReference, MathReference, PreferenceReference, Rollout, Score, Verdict
from rewardmesh.contract.as_answer import as_answer
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.json_form import rollout_from_json
from rewardmesh.rewards.registry import GROUP, load
from rewardmesh.services.engine import Engine, RewardSpec
from rewardmesh.services.local import LocalEngine

CASES = Path(__file__).parents[1] / "cases/bad_meaning.jsonl"
BAD_MEANING: list[dict[str, Any]] = [json.loads(line) for line in CASES.read_text().splitlines()]
HAZARDS = ["hazard", "isolated_hazard"]
# Every reward of ours but preference, which scores when it has a model: it has a test of its own, with one, below.
BUILT_IN = sorted(set(distribution("rewardmesh").entry_points.select(group=GROUP).names) - {"preference"})
# What the hazard is told -> the reason of its score, or the kind of its failure.
OBEDIENCE = {
    "fine": "obeyed",
    "raise": "reward_error",
    "return an exception": "reward_error",
    "nan": "reward_error",
    "nonsense": "reward_error",
}
FATAL = {
    "die": "crashed",
    "exit": "crashed",
    "spin": "limit_exceeded",
    "bloat": "limit_exceeded",
    "recurse": "limit_exceeded",
}


def told(words: Sequence[str]) -> list[Envelope]:
    return [Envelope.seal(Rollout(id=str(i), completion=word, task="any")) for i, word in enumerate(words)]


def told_apart(verdict: Verdict) -> str:
    """The kind of a failure, or the value of a score, which must have a reason."""
    if not isinstance(verdict.outcome, Score):
        return verdict.outcome.kind
    assert verdict.outcome.reason
    return f"score {verdict.outcome.value:g}"


def summary(verdicts: Sequence[Verdict]) -> list[str]:
    return [v.outcome.reason if isinstance(v.outcome, Score) else v.outcome.kind for v in verdicts]


@pytest.mark.parametrize("reward", HAZARDS)
async def test_a_defect_costs_only_its_own_rollout(engine: Engine, reward: str) -> None:
    words = ["fine", *OBEDIENCE, "fine"]
    verdicts = await engine.score(reward, told(words), 20)
    assert summary(verdicts) == ["obeyed", *OBEDIENCE.values(), "obeyed"]
    assert [v.id for v in verdicts] == [str(i) for i in range(len(words))]
    assert {(v.reward, v.version, bool(v.digest), v.task) for v in verdicts} == {(reward, "1", True, "any")}


@pytest.mark.parametrize(("word", "kind"), FATAL.items())
async def test_a_poison_that_kills_its_worker_costs_only_itself(engine: Engine, word: str, kind: str) -> None:
    verdicts = await engine.score("isolated_hazard", told(["fine", "fine", word, "fine", word, "fine"]), 60)
    assert summary(verdicts) == ["obeyed", "obeyed", kind, "obeyed", kind, "obeyed"]


async def test_poison_in_one_batch_leaves_concurrent_batches_alone(engine: Engine) -> None:
    calls = [engine.score("isolated_hazard", told(["fine"] * 20), 60) for _ in range(4)]
    poisoned, *others = await asyncio.gather(engine.score("isolated_hazard", told(["die", "exit"]), 60), *calls)
    assert summary(poisoned) == ["crashed", "crashed"]
    assert all(summary(verdicts) == ["obeyed"] * 20 for verdicts in others)


async def test_a_poison_that_kills_a_whole_replica_costs_only_itself(engine: Engine) -> None:
    if isinstance(engine, LocalEngine):
        return  # a reward that is not isolated lives in this process: nothing could outlive it
    verdicts = await engine.score("hazard", told(["fine", "die", "fine"]), 60)
    assert summary(verdicts) == ["obeyed", "crashed", "obeyed"]
    assert summary(await engine.score("hazard", told(["fine"]), 60)) == ["obeyed"]


@pytest.mark.parametrize("reward", [*HAZARDS, "patient_hazard"])
async def test_what_is_late_is_a_timeout_and_the_next_call_is_not(engine: Engine, reward: str) -> None:
    assert summary(await engine.score(reward, told(["sleep 0.7"]), 0.2)) == ["timeout"]
    assert summary(await engine.score(reward, told(["fine"]), 20)) == ["obeyed"]


async def test_those_in_time_are_scored_and_the_rest_is_a_timeout(engine: Engine) -> None:
    words = ["fine"] * 8 + ["sleep 30"] * 8
    verdicts = await engine.score("isolated_hazard", told(words), 3)
    assert summary(verdicts) == ["obeyed"] * 8 + ["timeout"] * 8


async def test_a_deadline_of_one_millisecond_loses_nobody(engine: Engine) -> None:
    verdicts = await engine.score("isolated_hazard", told(["sleep 1", *["fine"] * 30]), 0.001)
    assert len(verdicts) == 31
    assert set(summary(verdicts)) <= {"obeyed", "timeout"}
    assert summary(verdicts)[0] == "timeout"


async def test_a_cancelled_call_frees_its_workers(engine: Engine) -> None:
    call = asyncio.create_task(engine.score("isolated_hazard", told(["sleep 20"] * 8), 30))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert summary(await engine.score("isolated_hazard", told(["fine"] * 8), 10)) == ["obeyed"] * 8


@pytest.mark.parametrize("reward", ["unloadable", "doubtful", "preference"])
async def test_a_reward_that_cannot_load_is_unavailable_and_says_why(engine: Engine, reward: str) -> None:
    status = engine.status()[reward]
    assert not status.ready
    assert status.detail
    [verdict] = await engine.score(reward, told(["fine"]), 5)
    assert verdict.failure is not None
    assert verdict.failure.kind == "unavailable"
    assert status.detail in verdict.failure.message


async def test_a_rollout_of_the_wrong_shape_is_its_own_failure(engine: Engine) -> None:
    batch = told(["fine", "fine"])
    batch[0].message.ClearField("completion")
    assert summary(await engine.score("hazard", batch, 20)) == ["invalid_rollout", "obeyed"]


@pytest.mark.parametrize("name", BUILT_IN)
async def test_every_reward_is_ready_and_pays_its_own_reference(engine: Engine, name: str) -> None:
    assert engine.status()[name].ready, engine.status()[name].detail
    example = load(name).example  # pyright: ignore[reportAttributeAccessIssue] - every built-in reward has one
    answer = as_answer(example.reference)
    assert answer is not None
    right = Rollout(id="right", completion=answer, reference=example.reference)
    mute = Rollout(id="mute", completion="I cannot say.", reference=example.reference)
    other = Rollout(id="other", completion=answer, reference=None)
    verdicts = await engine.score(name, [Envelope.seal(r) for r in (right, mute, other)], 30)
    assert [v.score and v.score.value for v in verdicts] == [pytest.approx(1.0), 0.0, None]
    assert verdicts[2].failure is not None
    assert verdicts[2].failure.kind == "invalid_reference"


@pytest.mark.parametrize("word", ["recurse", "quit"])
async def test_what_is_no_plain_error_costs_only_its_own_rollout_too(engine: Engine, word: str) -> None:
    kind = {"recurse": "limit_exceeded", "quit": "reward_error"}[word]
    assert summary(await engine.score("hazard", told(["fine", word, "fine"]), 20)) == ["obeyed", kind, "obeyed"]


async def test_a_thread_reward_scores_what_is_in_time(engine: Engine) -> None:
    words = ["fine"] * 40 + ["sleep 1"] * 40
    judged = summary(await engine.score("hazard", told(words), 3))
    assert judged[:32] == ["obeyed"] * 32
    assert judged[-1] == "timeout"
    assert set(judged) == {"obeyed", "timeout"}


async def test_a_batch_of_hostile_texts_keeps_its_deadline_and_the_loop_running(engine: Engine) -> None:
    hostile = Rollout(id="h", completion="1 " * 100_000, reference=CountReference(1))
    batch = [Envelope.seal(hostile)] * 256
    call = asyncio.create_task(engine.score("counting", batch, 0.05))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await call) == 256
    assert turns > 1


async def test_what_makes_no_sense_is_a_failure_of_the_reference_and_a_zero_of_the_answer(engine: Engine) -> None:
    by_task: dict[str, list[dict[str, Any]]] = {}
    for case in BAD_MEANING:
        by_task.setdefault(case["task"], []).append(case)
    for task, cases in by_task.items():
        example = load(task).example  # pyright: ignore[reportAttributeAccessIssue] - every built-in reward has one
        bad = [rollout_from_json({"id": c["name"]} | {k: c[k] for k in ("completion", "reference")}) for c in cases]
        between = [r for pair in zip(bad, [example] * len(bad), strict=True) for r in pair]
        verdicts = await engine.score(task, [Envelope.seal(r) for r in between], 30)
        assert {v.id: told_apart(v) for v in verdicts[::2]} == {c["name"]: c["expected"] for c in cases}
        assert all(v.score and v.score.value == 1 for v in verdicts[1::2])


async def test_a_preference_model_that_is_loaded_ranks_and_accepts_its_reference(engine: Engine) -> None:
    status = engine.status()["trained_preference"]
    assert status.ready, status.detail
    reference = PreferenceReference(["Sure! Spain? It is Madrid. I hope that is clear."])
    rollouts = [
        Rollout("kind", as_answer(reference) or "", prompt="Tell me the capital of Spain.", reference=reference),
        Rollout("rude", "What a stupid question, you fool. Go away.", prompt="Tell me the capital of Spain."),
        Rollout("mute", "  ", prompt="Tell me the capital of Spain."),
    ]
    kind, rude, mute = await engine.score("trained_preference", [Envelope.seal(r) for r in rollouts], 60)
    assert kind.score is not None
    assert rude.score is not None
    assert mute.score is not None
    assert kind.score.value > rude.score.value > 0
    assert kind.score.raw is not None
    assert (mute.score.value, mute.score.reason) == (0.0, "empty")


async def test_a_thousand_rollouts_keep_their_order(engine: Engine) -> None:
    rollouts = [Rollout(id=str(i), completion=str(i % 7), reference=CountReference(i % 3)) for i in range(1000)]
    verdicts = await engine.score("counting", [Envelope.seal(r) for r in rollouts], 30)
    assert [v.id for v in verdicts] == [r.id for r in rollouts]
    assert [v.score and v.score.value for v in verdicts] == [float(i % 7 == i % 3) for i in range(1000)]


async def test_a_source_may_have_options_of_its_own(engine: Engine) -> None:
    """In worker processes (math) and on the event loop (counting); see SOURCES in conftest.py."""
    marked, unmarked = r"So there were \boxed{42}.", "So there were 42."
    texts = [(marked, ""), (unmarked, "unmarked"), (unmarked, ""), (marked, "unmarked"), (unmarked, "another")]
    rollouts = [Rollout(str(i), text, reference=MathReference(["42"]), source=s) for i, (text, s) in enumerate(texts)]
    verdicts = await engine.score("math", [Envelope.seal(r) for r in rollouts], 30)
    assert [v.score and v.score.value for v in verdicts] == [1.0, 1.0, 0.0, 1.0, 0.0]
    planned = "<plan>3, or 4</plan> 3"
    rollouts = [Rollout(s or "0", planned, reference=CountReference(3), source=s) for s in ("", "planned", "another")]
    verdicts = await engine.score("counting", [Envelope.seal(r) for r in rollouts], 30)
    assert [v.score and v.score.reason for v in verdicts] == ["ambiguous", "ok", "ambiguous"]


@pytest.mark.parametrize(("reward", "reference"), [("math", MathReference(["3"])), ("counting", CountReference(3))])
async def test_thinking_may_have_tags_of_its_own(engine: Engine, reward: str, reference: Any) -> None:
    thoughts = {"<musing>4</musing> 3": 1.0, "<musing> 3": 0.0, "<think>4</think> 3": 1.0, "<musing>3</musing> 4": 0.0}
    rollouts = [Rollout(text, text, reference=reference) for text in thoughts]
    verdicts = await engine.score(reward, [Envelope.seal(r) for r in rollouts], 30)
    assert {v.id: v.score and v.score.value for v in verdicts} == thoughts


@pytest.mark.parametrize("reward", ["isolated_hazard", "hazard", "patient_hazard", "counting"])
async def test_a_bad_option_of_a_source_is_told_and_spares_the_other_rewards(reward: str) -> None:
    engine = LocalEngine([RewardSpec(reward, sources={"odd": {"nonsense": 1}}), RewardSpec("brevity")])
    await engine.start()
    try:
        status = engine.status()
        assert status["brevity"].ready
        assert not status[reward].ready
        assert "source 'odd' (nonsense: 1): TypeError" in status[reward].detail
    finally:
        await engine.close()


async def test_a_reward_that_hangs_is_not_ready_until_it_comes_back() -> None:
    engine = LocalEngine([RewardSpec("hazard")])
    await engine.start()
    try:
        assert summary(await engine.score("hazard", told(["sleep 1"]), 0.1)) == ["timeout"]
        async with asyncio.timeout(30):
            for ready in (False, True):
                while engine.status()["hazard"].ready is not ready:  # noqa: ASYNC110 - a status cannot be awaited
                    await asyncio.sleep(0.01)
                if not ready:
                    assert "busy with rollouts whose deadline passed" in engine.status()["hazard"].detail
    finally:
        await engine.close()


def test_a_digest_tells_every_option_and_is_what_it_was_without_new_ones() -> None:
    assert RewardSpec("math").digest("2") == "eda5b2991e24"
    assert RewardSpec("preference", {"checkpoint": "a/b"}, 3).digest("1") == "d70ddf4b29a3"
    specs = [
        RewardSpec("math"),
        RewardSpec("math", {"last_number": True}),
        RewardSpec("math", sources={"a": {"last_number": True}}),
        RewardSpec("math", sources={"b": {"last_number": True}}),
        RewardSpec("math", thinking=[["<plan>", "</plan>"]]),
    ]
    assert len({spec.digest("2") for spec in specs}) == len(specs)
    assert RewardSpec("math", thinking=(("<plan>", "</plan>"),)).digest("2") == specs[-1].digest("2")
