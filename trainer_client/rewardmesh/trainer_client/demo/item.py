"""What a task makes of a seed: a question, what is to be seen, the truth, and two ways of answering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rewardmesh.contract import Reference
from rewardmesh.trainer_client.demo.drawing import Figure


class Picture(NamedTuple):
    """A square picture of `side` pixels before it is drawn."""

    side: int
    figures: Sequence[Figure]


class Item(NamedTuple):
    """One item of a data set.

    Attributes:
        question: What is asked.
        pictures: What it is about: none for a text, several for a clip.
        reference: The truth.
        answer: An answer that is paid in full; where there is no truth, one that is paid well.
        careless: An answer as data sets have them, too, that is not paid: half of one, a vague one, one in other units
            or without manners.
    """

    question: str
    pictures: tuple[Picture, ...]
    reference: Reference
    answer: str
    careless: str
