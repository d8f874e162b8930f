"""The reference boxes: checked, clipped, and remembered while the completions of their group are scored."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rewardmesh.contract import Box, BoxReference, InvalidReferenceError
from rewardmesh.rewards.visual.fit import covers, fit_box

MAX_BOXES = 64  # matching takes cubic time
_REMEMBERED = 1024  # references, of 64 boxes at most: some MB


class Truth(NamedTuple):
    """What is to be found.

    Attributes:
        boxes: At least one, with an area, inside the image.
        labels: One for each, normalised; empty when the reference has none.
        one_kind: All labels are the same.
        whole: One of the boxes covers the whole image.
    """

    boxes: tuple[Box, ...]
    labels: tuple[str, ...]
    one_kind: bool
    whole: bool


@lru_cache(_REMEMBERED)
def read_truth(reference: BoxReference, extent: tuple[float, float] | None) -> Truth:
    """Reads a reference.

    Args:
        reference: As sent.
        extent: Width and height of its image; None when unknown.

    Raises:
        InvalidReferenceError: It has no boxes, too many, one that makes no sense, or not one label for each.
    """
    if not 1 <= len(reference.boxes) <= MAX_BOXES:
        raise InvalidReferenceError(f"needs 1 to {MAX_BOXES} boxes, got {len(reference.boxes)}")
    if reference.labels and len(reference.labels) != len(reference.boxes):
        raise InvalidReferenceError(f"{len(reference.boxes)} boxes have {len(reference.labels)} labels")
    boxes: list[Box] = []
    for i, given in enumerate(reference.boxes):
        box, wrong = fit_box(given, extent)
        if wrong:
            raise InvalidReferenceError(f"boxes[{i}] {list(given)} is {wrong}")
        boxes.append(box)
    labels = tuple(map(normal, reference.labels))
    whole = any(covers(box, extent) for box in boxes)
    return Truth(tuple(boxes), labels if any(labels) else (), len(set(labels)) == 1, whole)


def normal(label: str) -> str:
    """A label without case and with single spaces: labels that differ in no more are the same."""
    return " ".join(label.casefold().split())
