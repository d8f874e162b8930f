"""Which answered thing belongs to which reference thing, one to one, and what the matches come to together."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pairs(weights: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The one-to-one matching of rows with columns that has the greatest total weight.

    Args:
        weights: A row of finite weights for each reference thing, a column for each answered one; at least one of each.

    Returns:
        Row and column of each match, as many as the smaller side has.
    """
    if len(weights) == 1:
        return [(0, max(range(len(weights[0])), key=weights[0].__getitem__))]
    if len(weights) <= len(weights[0]):
        return list(enumerate(assign(weights)))
    return [(row, column) for column, row in enumerate(assign(list(zip(*weights, strict=True))))]


def f1(total: float, asked: int, answered: int) -> float:
    """The harmonic mean of soft precision and soft recall, 2 * total / (asked + answered).

    Precision is total / answered and recall total / asked. Where each match is worth 1, this is the usual F1.

    Args:
        total: The sum of the matches' scores, each in [0, 1].
        asked: Number of reference things, at least 1.
        answered: Number of answered things, senseless ones included.

    Returns:
        In [0, 1].
    """
    return min(1.0, 2 * total / (asked + answered))


def assign(weights: Sequence[Sequence[float]]) -> list[int]:
    """The one-to-one assignment of rows to columns with the greatest total weight.

    The Hungarian algorithm in the form of shortest augmenting paths (Jonker and Volgenant 1987), O(rows^2 columns).

    Args:
        weights: A row of finite weights for each thing to assign; at least as many columns as rows.

    Returns:
        The column of each row.
    """
    rows, columns = len(weights), len(weights[0]) if weights else 0
    row_price, column_price = [0.0] * rows, [0.0] * columns
    owner, owned = [-1] * columns, [-1] * rows
    for newcomer in range(rows):
        # The cheapest chain of moves that gives the newcomer a column: Dijkstra over reduced costs.
        reach = [math.inf] * columns
        came_from = [-1] * columns
        left = list(range(columns))
        moved: list[int] = []
        row, far = newcomer, 0.0
        while True:
            costs, base = weights[row], far - row_price[row]
            nearest, place = math.inf, -1
            for i, column in enumerate(left):
                there = base - costs[column] - column_price[column]
                if there < reach[column]:
                    reach[column], came_from[column] = there, row
                else:
                    there = reach[column]
                if there < nearest or (there == nearest and owner[column] < 0):
                    nearest, place = there, i
            far, column = nearest, left[place]
            if owner[column] < 0:
                break
            moved.append(column)
            left[place] = left[-1]
            left.pop()
            row = owner[column]
        row_price[newcomer] += far
        for taken in moved:
            row_price[owner[taken]] += far - reach[taken]
            column_price[taken] -= far - reach[taken]
        while True:
            row = came_from[column]
            owner[column] = row
            owned[row], column = column, owned[row]
            if row == newcomer:
                break
    return owned
