"""What is drawn: by the weights, each prompt once, the same again after a resume."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmesh.trainer_client.mixing.mixture import Draw, GroupResult, Mixture
from rewardmesh.trainer_client.mixing.schedule import CalendarCurriculum, FixedMix
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.mixing.worst_task import WorstTask
from tests.trainer_client.mixing.sources import judged, source

TASKS = ("math", "counting", "temporal")
weights = st.floats(0.05, 5.0)


def sources(sizes: tuple[int, ...] = (40, 30, 50, 20)) -> list[Source]:
    """Two data sets of math, one of each other task."""
    return [
        source("gsm", "math", sizes[0], 3.0),
        source("olympiad", "math", sizes[1]),
        source("shapes", "counting", sizes[2], 2.0),
        source("clips", "temporal", sizes[3]),
    ]


def counted(draws: list[Draw]) -> Counter[str]:
    return Counter(draw.source for draw in draws)


@settings(deadline=None, max_examples=50)
@given(st.lists(weights, min_size=4, max_size=4), st.integers(1, 40), st.integers(0, 1000))
def test_every_batch_has_each_source_to_within_one(given_weights: list[float], count: int, seed: int) -> None:
    parts = [source(f"s{i}", f"t{i % 3}", 100, weight) for i, weight in enumerate(given_weights)]
    found = counted(Mixture(parts, seed=seed).draw(0, count))
    assert found.total() == count
    for part in parts:
        assert abs(found[part.name] - count * part.weight / sum(given_weights)) < 1 + 1e-9


def test_the_mix_converges_to_the_weights() -> None:
    """Batches of 2 of four sources: no batch has the mix, many together have."""
    schedule = FixedMix({"math": 5, "counting": 3, "temporal": 2})
    mixture = Mixture(sources(), schedule, seed=5)
    found: Counter[str] = Counter()
    for step in range(4000):
        found += counted(mixture.draw(step, 2))
    expected = {"gsm": 0.375, "olympiad": 0.125, "shapes": 0.3, "clips": 0.2}
    assert {name: n / found.total() for name, n in found.items()} == pytest.approx(expected, abs=0.02)


def test_without_a_schedule_each_source_has_its_own_weight() -> None:
    assert Mixture(sources(), seed=0).shares(9) == pytest.approx(
        {"gsm": 3 / 7, "olympiad": 1 / 7, "shapes": 2 / 7, "clips": 1 / 7}
    )


def test_tasks_are_mixed_within_a_batch() -> None:
    names = [draw.source for draw in Mixture(sources(), seed=1).draw(0, 28)]
    assert names != sorted(names, key=names.index)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 14), st.integers(0, 99), st.data())
def test_no_prompt_is_lost_or_repeated_in_an_epoch(size: int, count: int, seed: int, data: st.DataObject) -> None:
    """Re-draws too are part of the pass. Put-off prompts may come after the epoch's turn, but before the next one's."""
    mixture = Mixture([source("s", "t", size)], seed=seed)
    seen: list[int] = []
    for step in range(6):
        draws = mixture.draw(step, count)
        lost = data.draw(st.integers(0, count))
        draws += mixture.redraw(step, 1, draws[:lost])
        seen += [draw.index for draw in draws]
        if len(draws) <= size:
            assert len({draw.index for draw in draws}) == len(draws), "a prompt twice in one step"
    for start in range(0, len(seen) - size + 1, size):
        assert sorted(seen[start : start + size]) == list(range(size))


def test_epochs_come_in_other_orders() -> None:
    mixture = Mixture([source("s", "t", 20)], seed=0)
    first, second = ([d.index for d in mixture.draw(step, 20)] for step in range(2))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert first != list(range(20))
    assert first != [d.index for d in Mixture([source("s", "t", 20)], seed=1).draw(0, 20)]


def schedule_of(kind: str) -> FixedMix | WorstTask | CalendarCurriculum:
    if kind == "worst task":
        return WorstTask(TASKS)
    if kind == "calendar":
        return CalendarCurriculum([(0, {"counting": 1}), (2, {"math": 2, "temporal": 1}), (5, dict.fromkeys(TASKS, 1))])
    return FixedMix(dict.fromkeys(TASKS, 1.0))


def run(mixture: Mixture, step: int) -> list[tuple[str, bool]]:
    """One step with re-draws; some groups pass, some fail, some are lost: as the prompt and the step say."""
    draws = mixture.draw(step, 9)
    every = list(draws)
    for round in (1, 2):
        draws = mixture.redraw(step, round, draws[: 4 - round])
        every += draws
    outcomes: list[list[float | None]] = [[1.0, 1.0], [0.0, 1.0], [None, 1.0], [None, None], [0.5, 0.2]]
    results = [GroupResult(d, Random(f"{d.prompt.id}/{step}").choice(outcomes)) for d in every]
    mixture.observe(step, results)
    return [(draw.prompt.id, draw.from_easy_pool) for draw in every]


@pytest.mark.parametrize("kind", ["fixed", "worst task", "calendar"])
@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_a_resumed_mixture_goes_on_as_the_other_would_have(kind: str, at: int) -> None:
    def fresh() -> Mixture:
        return Mixture(sources((7, 5, 6, 4)), schedule_of(kind), seed=3, easy_probability=0.4)

    whole, resumed = fresh(), fresh()
    for step in range(at):
        run(whole, step)
    given_out = whole.state_dict()
    text = json.dumps(given_out)
    resumed.load_state_dict(json.loads(text))
    assert json.dumps(resumed.state_dict()) == text
    expected = [run(whole, step) for step in range(at, 12)]
    assert [run(resumed, step) for step in range(at, 12)] == expected
    assert any(easy for step in expected for _, easy in step), "no draw came from the pool: the test says little"
    assert json.dumps(given_out) == text, "the state that was given out went on changing"


def test_a_step_that_is_taken_up_again_draws_what_it_drew() -> None:
    mixture = Mixture(sources(), seed=3)
    run(mixture, 0)
    state = mixture.state_dict()
    first = run(mixture, 1)
    mixture.load_state_dict(state)
    assert run(mixture, 1) == first


@pytest.mark.parametrize("lost_task", TASKS)
def test_re_draws_keep_the_ratio(lost_task: str) -> None:
    """A task that loses all its groups, round after round, is still drawn in their place."""
    mixture = Mixture(sources((90, 90, 90, 90)), seed=2)
    draws = mixture.draw(0, 14)
    before = counted(draws)
    for round in range(1, 4):
        lost = [draw for draw in draws if draw.prompt.task == lost_task]
        again = mixture.redraw(0, round, lost)
        assert [d.source for d in again] == [d.source for d in lost]
        assert not {d.prompt.id for d in again} & {d.prompt.id for d in draws}
        draws = [draw for draw in draws if draw.prompt.task != lost_task] + again
        assert counted(draws) == before


def test_re_draws_from_the_mix_do_not_keep_it() -> None:
    mixture = Mixture(sources((90, 90, 90, 90)), seed=2, redraw="mix")
    lost = [draw for draw in mixture.draw(0, 70) if draw.source == "clips"]
    again = counted(mixture.redraw(0, 1, lost * 7))
    assert again == {"gsm": 30, "olympiad": 10, "shapes": 20, "clips": 10}


def test_re_draws_of_other_rounds_and_steps_are_others() -> None:
    found = set()
    for step, round in ((0, 1), (0, 2), (1, 1)):
        mixture = Mixture(sources(), seed=2, redraw="mix")
        lost = mixture.draw(0, 20)
        found.add(tuple(draw.source for draw in mixture.redraw(step, round, lost)))
    assert len(found) == 3


def test_the_schedule_sees_each_tasks_mean_over_judged_completions() -> None:
    class Watching(FixedMix):
        seen: Mapping[str, float] = {}

        def observe(self, step: int, rewards: Mapping[str, float]) -> None:
            self.seen = rewards

    watching = Watching(dict.fromkeys(TASKS, 1.0))
    mixture = Mixture(sources(), watching, seed=0)
    draws = {draw.source: draw for draw in mixture.draw(0, 40)}
    results = judged([draws["gsm"]], 1.0, None) + judged([draws["olympiad"]], 0.0, 0.5) + judged([draws["clips"]], None)
    mixture.observe(0, results)
    assert watching.seen == {"math": 0.5}


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: Mixture([], seed=0), "different names"),
        (lambda: Mixture([source("s", "a", 1), source("s", "b", 1)], seed=0), "different names"),
        (lambda: Mixture(sources(), seed=0, easy_probability=1.5), "easy_probability"),
        (lambda: Mixture(sources(), seed=0, redraw="none"), "redraw must be"),  # type: ignore[arg-type]
        (lambda: Mixture(sources(), FixedMix({"grounding": 1}), seed=0).draw(0, 1), "no source has: grounding"),
        (lambda: Mixture(sources(), seed=0).redraw(0, 0, []), "count from 1"),
        (lambda: source("s", "t", 0), "no prompts"),
        (lambda: source("s", "t", 1, 0.0), "weight of source 's'"),
        (lambda: source("s", "t", 1, float("inf")), "weight of source 's'"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(build: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build()


def test_a_state_of_other_data_is_refused() -> None:
    state = Mixture(sources(), seed=0).state_dict()
    with pytest.raises(ValueError, match="of seed 0"):
        Mixture(sources(), seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="sources"):
        Mixture(sources()[1:], seed=0).load_state_dict(state)
    with pytest.raises(ValueError, match=r"'gsm' is of 40 prompts, not 41"):
        Mixture(sources((41, 30, 50, 20)), seed=0).load_state_dict(state)
