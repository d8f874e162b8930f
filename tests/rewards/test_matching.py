"""One-to-one matching against all that are possible."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.rewards.visual.matching import assign, f1, pairs

_weight = st.floats(-1, 1) | st.sampled_from([0.0, 0.5, 1.0])
_tables = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda n: st.lists(st.lists(_weight, min_size=n[1], max_size=n[1]), min_size=n[0], max_size=n[0])
)


def _best(weights):
    rows, columns = len(weights), len(weights[0])
    if rows > columns:
        return _best(list(zip(*weights, strict=True)))
    return max(
        math.fsum(weights[i][j] for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(columns), rows)
    )


@given(_tables)
def test_no_matching_is_better(weights):
    matched = pairs(weights)
    assert len(matched) == min(len(weights), len(weights[0]))
    assert len({i for i, _ in matched}) == len({j for _, j in matched}) == len(matched)
    assert math.fsum(weights[i][j] for i, j in matched) == pytest.approx(_best(weights), abs=1e-9)


def test_nothing_is_assigned_to_nothing():
    assert assign([]) == []


@pytest.mark.timeout(30)
@pytest.mark.parametrize("weight", [lambda i, j: 0.5, lambda i, j: i * j, lambda i, j: -i * j, lambda i, j: i + j])
def test_the_worst_tables_of_64_take_milliseconds(weight):
    columns = assign([[float(weight(i, j)) for j in range(64)] for i in range(64)])
    assert sorted(columns) == list(range(64))


def test_a_shuffled_identity_is_found():
    order = random.Random(0).sample(range(40), 40)
    assert assign([[float(order[i] == j) for j in range(40)] for i in range(40)]) == order


@pytest.mark.parametrize(("total", "asked", "answered", "value"), [(1, 2, 1, 2 / 3), (2, 2, 4, 2 / 3), (0, 1, 5, 0)])
def test_f1_by_hand(total, asked, answered, value):
    assert f1(total, asked, answered) == pytest.approx(value)
