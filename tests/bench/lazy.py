"""What policies earn that do not look: simulated objects, clicks, segments and counts, scored by the real rewards.

Sizes are drawn from log-normal distributions. The boxes take up 20 % of their image on average, as in referring
expressions; GUI elements a few thousandths; segments 27 % of their video. What is asked for lies anywhere with equal
probability, and so do random boxes, which have the same sizes. Counts are 1 to 20, the count n with a probability in
proportion to 1 / n. Everything follows from a seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import TypeAlias

from rewardmesh.contract import (
    Box,
    BoxReference,
    CountReference,
    PointReference,
    Reference,
    Rollout,
    Score,
    Segment,
    SegmentReference,
    Size,
)
from rewardmesh.rewards.counting import CountingReward
from rewardmesh.rewards.grounding.reward import GroundingReward
from rewardmesh.rewards.point.reward import PointReward
from rewardmesh.rewards.temporal import TemporalReward

_IMAGE = Size(640, 480)
_TOGETHER = 3  # objects in an image, where several are asked for
_MANY = 16
_FEWER = 10  # objects are this many times fewer where many boxes are answered: those take long to read

_Scorer: TypeAlias = GroundingReward | PointReward | TemporalReward | CountingReward
_Policy: TypeAlias = Callable[[random.Random, Reference], str]
Means: TypeAlias = dict[str, dict[str, float]]
"""Policy -> scorer -> mean reward."""

_BOX_SCORERS: dict[str, _Scorer] = {
    **{scorer: GroundingReward(scorer=scorer) for scorer in ("giou", "giou_clip", "iou", "diou", "ciou", "threshold")},
    "giou, whole_penalty 1": GroundingReward(whole_penalty=1),
}
_POINT_SCORERS: dict[str, _Scorer] = {
    "point": PointReward(),
    "gaussian": PointReward(shaping="gaussian"),
    "distance": PointReward(shaping="distance"),
}
_TIME_SCORERS: dict[str, _Scorer] = {
    **{mode: TemporalReward(mode=mode) for mode in ("best", "union", "f1")},
    "best, whole_penalty 1": TemporalReward(whole_penalty=1),
}


def lazy(objects: int, seed: int = 0) -> Means:
    """Mean rewards of all policies; of each kind of thing `objects` are drawn, the same for all policies."""
    whole = _boxes_text([Box(0, 0, *map(float, _IMAGE))])
    one: dict[str, _Policy] = {
        "whole image": lambda _, __: whole,
        "random box": lambda rng, _: _boxes_text([_usual(rng)]),
        "2-pixel box": lambda _, __: _boxes_text([Box(319, 239, 321, 241)]),
        "near miss": lambda rng, reference: _boxes_text([_near(rng, box) for box in _asked(reference)]),
    }
    several: dict[str, _Policy] = {
        "3 objects: whole image": one["whole image"],
        "3 objects: whole image thrice": lambda _, __: _boxes_text([Box(0, 0, *map(float, _IMAGE))] * _TOGETHER),
        "3 objects: 3 random boxes": lambda rng, _: _boxes_text([_usual(rng) for _ in range(_TOGETHER)]),
        "3 objects: near misses": one["near miss"],
    }
    many: dict[str, _Policy] = {"many boxes": lambda rng, _: _boxes_text([_usual(rng) for _ in range(_MANY)])}
    three_many: dict[str, _Policy] = {
        "3 objects: many boxes": lambda rng, _: _boxes_text([_usual(rng) for _ in range(_MANY)])
    }
    clicks: dict[str, _Policy] = {
        "centre click": lambda _, __: "(320, 240)",
        "random click": lambda rng, _: f"({rng.randrange(640)}, {rng.randrange(480)})",
        "refusal": lambda _, __: "(-1, -1)",
    }
    times: dict[str, _Policy] = {
        "whole video": lambda _, reference: _parts(reference, [(0, 1)]),
        "middle half": lambda _, reference: _parts(reference, [(0.25, 0.75)]),
        "ten segments": lambda _, reference: _parts(reference, [(i / 10, (i + 1) / 10) for i in range(10)]),
    }
    counts: dict[str, _Policy] = {'"1"': lambda _, __: "1", '"1" to "3"': lambda _, __: "1, 2, 3"}

    def one_box(rng: random.Random) -> Reference:
        return _box_reference([_usual(rng)])

    def three_boxes(rng: random.Random) -> Reference:
        return _box_reference(_disjoint(rng))

    def element(rng: random.Random) -> Reference:
        return PointReference([_box(rng, 0.002, 1.3)], image_size=_IMAGE)

    images = objects // _TOGETHER
    return {
        **_earned(one, _BOX_SCORERS, one_box, objects, seed),
        **_earned(many, _BOX_SCORERS, one_box, objects // _FEWER, seed),
        **_earned(several, _BOX_SCORERS, three_boxes, images, seed),
        **_earned(three_many, _BOX_SCORERS, three_boxes, images // _FEWER, seed),
        **_earned(clicks, _POINT_SCORERS, element, objects, seed),
        **_earned(times, _TIME_SCORERS, _segment, objects, seed),
        **_earned(counts, {"counting": CountingReward()}, _count, objects, seed),
    }


def _earned(
    policies: dict[str, _Policy],
    scorers: Mapping[str, _Scorer],
    draw: Callable[[random.Random], Reference],
    objects: int,
    seed: int,
) -> Means:
    rng = random.Random(seed)
    references = [draw(rng) for _ in range(objects)]
    means: Means = {}
    for policy, answer in policies.items():
        rng = random.Random(f"{seed} {policy}")
        rollouts = [Rollout("", answer(rng, reference), reference=reference) for reference in references]
        means[policy] = {name: fmean(_values(reward, rollouts)) for name, reward in scorers.items()}
    return means


def _values(reward: _Scorer, rollouts: list[Rollout]) -> Iterator[float]:
    for outcome in reward.score(rollouts):
        if not isinstance(outcome, Score):
            raise RuntimeError(f"the simulation is wrong: {outcome!r}")
        yield outcome.value


def _box(rng: random.Random, median: float, spread: float) -> Box:
    """A box whose area is a log-normal share of the image, at least 4 pixels wide and high."""
    width, height = _IMAGE
    root = math.sqrt(min(0.95, rng.lognormvariate(math.log(median), spread)))
    shape = math.exp(rng.gauss(0, 0.35))
    wide, high = (max(4.0, min(float(side), side * root * s)) for side, s in ((width, shape), (height, 1 / shape)))
    x, y = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return Box(*(round(side, 1) for side in (x, y, x + wide, y + high)))


def _usual(rng: random.Random) -> Box:
    """A box as referring expressions have them."""
    return _box(rng, 0.125, 1.1)


def _disjoint(rng: random.Random) -> list[Box]:
    """Boxes of different things: one in each of three vertical stripes."""
    third = _IMAGE.width / _TOGETHER
    boxes = (_usual(rng) for _ in range(_TOGETHER))
    return [Box(b.x1 / _TOGETHER + i * third, b.y1, b.x2 / _TOGETHER + i * third, b.y2) for i, b in enumerate(boxes)]


def _near(rng: random.Random, box: Box) -> Box:
    """The box with every side off by some 5 % of its length."""
    wide, high = box.x2 - box.x1, box.y2 - box.y1
    x1, x2 = box.x1 + rng.gauss(0, 0.05) * wide, box.x2 + rng.gauss(0, 0.05) * wide
    y1, y2 = box.y1 + rng.gauss(0, 0.05) * high, box.y2 + rng.gauss(0, 0.05) * high
    return Box(max(0.0, x1), max(0.0, y1), min(float(_IMAGE.width), x2), min(float(_IMAGE.height), y2))


def _segment(rng: random.Random) -> SegmentReference:
    duration = round(rng.lognormvariate(math.log(60), 0.8) + 5, 1)
    length = duration * min(1.0, rng.lognormvariate(math.log(0.2), 0.8))
    start = rng.uniform(0, duration - length)
    return SegmentReference([Segment(round(start, 2), round(start + length, 2) + 0.01)], duration)


def _count(rng: random.Random) -> CountReference:
    return CountReference(rng.choices(range(1, 21), [1 / n for n in range(1, 21)])[0])


def _box_reference(boxes: list[Box]) -> BoxReference:
    return BoxReference(boxes, image_size=_IMAGE)


def _asked(reference: Reference) -> list[Box]:
    assert isinstance(reference, BoxReference)
    return list(reference.boxes)


def _boxes_text(boxes: list[Box]) -> str:
    return "[" + ", ".join(f'{{"bbox_2d": [{b.x1:.1f}, {b.y1:.1f}, {b.x2:.1f}, {b.y2:.1f}]}}' for b in boxes) + "]"


def _parts(reference: Reference, shares: list[tuple[float, float]]) -> str:
    """Segments from and to these shares of the video."""
    assert isinstance(reference, SegmentReference)
    duration = reference.duration or 0.0
    return ", ".join(f"[{duration * start:.2f}, {duration * end:.2f}]" for start, end in shares)
