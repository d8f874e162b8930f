"""Mastered prompts: who gets in, how often they come, and how they get out."""

from __future__ import annotations

from random import Random

import pytest

from rewardmesh.trainer_client.mixing.easy_pool import EasyPool, all_pass
from rewardmesh.trainer_client.mixing.mixture import Mixture
from tests.trainer_client.mixing.sources import judged, source


@pytest.mark.parametrize(
    ("rewards", "passed"),
    [
        ([1.0, 1.0], True),
        ([1.0 - 1e-7, 1.0], True),  # coordinates that went through JSON
        ([1.0, 0.999], False),
        ([0.0, 0.0], False),  # alike, but not easy
        ([0.5, 0.5], False),
        ([1.0, None], False),  # a failure is not a pass
        ([None, None], False),
        ([], False),
    ],
)
def test_only_groups_in_which_all_pass_get_in(rewards: list[float | None], passed: bool) -> None:
    pool = EasyPool()
    pool.observe(7, rewards)
    assert all_pass(rewards) == passed == (7 in pool)


@pytest.mark.parametrize(
    ("rewards", "stays"), [([1.0, 1.0], True), ([None, 1.0], True), ([None, None], True), ([1.0, 0.5], False)]
)
def test_what_is_forgotten_gets_out_and_a_failure_proves_nothing(rewards: list[float | None], stays: bool) -> None:
    pool = EasyPool([3, 7])
    pool.observe(7, rewards)
    assert (7 in pool) == stays
    assert 3 in pool


def test_a_draw_leaves_the_prompt_in_the_pool() -> None:
    pool = EasyPool([3, 7])
    assert {pool.draw(Random(i), ()) for i in range(20)} == {3, 7}
    assert pool.draw(Random(0), {3}) == 7
    assert pool.draw(Random(0), {3, 7}) is None
    assert pool.prompts() == [3, 7]


def mastered(size: int, easy: int, **settings: float) -> tuple[Mixture, set[int]]:
    """A mixture of one source whose first `easy` draws have passed, and these."""
    mixture = Mixture([source("s", "t", size)], seed=4, **settings)  # type: ignore[arg-type]
    draws = mixture.draw(0, easy)
    mixture.observe(0, judged(draws, 1.0, 1.0))
    return mixture, {draw.index for draw in draws}


def test_easy_prompts_leave_the_ordinary_pass_and_come_with_a_probability_of_a_tenth() -> None:
    mixture, easy = mastered(60, 20)
    from_pool = 0
    ordinary: list[int] = []
    for step in range(1, 601):
        draws = mixture.draw(step, 5)
        assert {d.index for d in draws if d.from_easy_pool} <= easy
        from_pool += sum(d.from_easy_pool for d in draws)
        ordinary += [d.index for d in draws if not d.from_easy_pool]
        mixture.observe(step, judged([d for d in draws if not d.from_easy_pool], 0.0, 1.0))
    assert not set(ordinary) & easy
    assert from_pool / 3000 == pytest.approx(0.1, abs=0.015)
    others = sorted(set(range(60)) - easy)
    for start in range(0, len(ordinary) - 40, 40):  # the rest goes on in epochs
        assert sorted(ordinary[start : start + 40]) == others


def test_a_forgotten_prompt_is_in_the_ordinary_pass_again() -> None:
    mixture, easy = mastered(10, 4, easy_probability=1.0)
    [draw] = mixture.draw(1, 1)
    assert draw.from_easy_pool
    mixture.observe(1, judged([draw], 1.0, 0.0))
    mixture.observe(2, judged(again := mixture.draw(2, 3), 1.0))
    assert {d.index for d in again} == easy - {draw.index}
    lost = [mixture.draw(step, 1) * 2 for step in range(3, 9)]
    assert all(each.from_easy_pool for pair in lost for each in pair)
    seen = [each for step in range(9, 15) for each in mixture.redraw(step, 1, lost[0])]
    assert draw.index in {each.index for each in seen}
    assert not any(each.from_easy_pool for each in seen), "a re-draw takes from the ordinary pass alone"


def test_when_everything_is_mastered_it_comes_from_the_pool() -> None:
    mixture, easy = mastered(5, 5)
    draws = mixture.draw(1, 5)
    assert {d.index for d in draws} == easy
    assert all(d.from_easy_pool for d in draws)
    assert len(mixture.draw(2, 12)) == 12  # more than there are: some come twice


def test_each_source_has_its_own_pool_and_its_share_stays() -> None:
    mixture = Mixture([source("easy", "a", 30), source("hard", "b", 30)], seed=4, easy_probability=0.5)
    for step in range(8):
        draws = mixture.draw(step, 10)
        assert sum(d.source == "easy" for d in draws) == 5
        assert not any(d.from_easy_pool for d in draws if d.source == "hard")
        mixture.observe(step, judged([d for d in draws if d.source == "easy"], 1.0))
