"""The ways in which mixed training goes wrong, told from a run's curves while it runs.

MiMo-VL's report (arXiv 2506.03569, section 5.3) names them: tasks whose answers grow with training and tasks whose
answers shrink pull one model both ways. Each is a function of the history so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from rewardmesh.trainer_client.interference.history import Curve, History
from rewardmesh.trainer_client.interference.trend import Estimate, difference, mean, slope

# A drift that a window's noise hides shows over so many windows.
SLOWLY = 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a warning is due.

    Attributes:
        window: Steps that make one judgement. Fewer react sooner and err more often.
        errors: How many standard errors a change must be from none. Every step asks again, so 2 would be too few.
        rise: The smallest change of a mean reward that counts.
        ceiling: A reward above this has no room left: it may stand still.
        still: From this share of groups without spread on, a task hardly teaches any more.
        entropy: Below this share of its first entropy, a task's answers are nearly fixed.
        collapse: Below this share of their longest, answers have collapsed.
        long: Answers that never were so many tokens long, on average, have nothing to collapse.
        perception: Tasks that ask what is to be seen.
        reasoning: Tasks that ask for thought.
    """

    window: int = 20
    errors: float = 3.0
    rise: float = 0.03
    ceiling: float = 0.9
    still: float = 0.5
    entropy: float = 0.25
    collapse: float = 0.5
    long: float = 8.0
    perception: frozenset[str] = frozenset({"grounding", "point", "counting", "temporal", "action"})
    reasoning: frozenset[str] = frozenset({"math"})


@dataclass(frozen=True, slots=True)
class Alarm:
    """A warning.

    Attributes:
        kind: "early saturation", "perception falls", or "length collapse".
        task: Whose curve it is.
        step: When it arose.
        until: The last step at which it held.
        message: What was seen when it arose.
    """

    kind: str
    task: str
    step: int
    until: int
    message: str


def early_saturation(history: History, task: str, at: Thresholds) -> str | None:
    """The reward rose, has room left, stands still, and the groups have stopped to differ: nothing is left to learn.

    A reward that stands still while its groups still differ is no alarm: it may be noise, or a hard task.
    """
    reward = history.curve(task, "reward")
    if len(reward.values) < 3 * at.window:
        return None
    start, before, now = (
        mean(part.values) for part in (reward.first(at.window), _before(reward, at.window), reward.last(at.window))
    )
    risen, rising = difference(now, start), difference(now, before)
    assert now is not None
    assert risen is not None
    assert rising is not None
    stands = risen.above(at.rise, at.errors) and rising.value < at.rise and now.value < at.ceiling
    spread = mean(history.curve(task, "zero_spread").last(at.window).values)
    entropy = history.curve(task, "entropy")
    first, last = mean(entropy.first(at.window).values), mean(entropy.last(at.window).values)
    same = spread is not None and spread.value >= at.still
    fixed = first is not None and last is not None and last.value < at.entropy * first.value
    if not stands or not (same or fixed):
        return None
    why = f"{spread.value:.0%} of its groups have one reward" if same and spread is not None else ""
    if fixed and first is not None and last is not None:
        why += f"{' and ' if why else ''}its entropy fell from {first.value:.2f} to {last.value:.2f}"
    return f"the reward has stood at {now.value:.2f} for {2 * at.window} steps, and {why}"


def perception_falls(history: History, task: str, at: Thresholds) -> str | None:
    """A task of perception loses reward over the same steps in which a task of reasoning gains it."""
    if task not in at.perception:
        return None
    for window in (at.window, SLOWLY * at.window):
        falling = _change(history.curve(task, "reward"), window)
        if falling is None or not falling.below(0.0, at.errors) or falling.value > -at.rise:
            continue
        for other in sorted(at.reasoning.intersection(history.tasks)):
            rising = _change(history.curve(other, "reward"), window)
            if rising is not None and rising.above(0.0, at.errors) and rising.value >= at.rise:
                return (
                    f"over {window} steps its reward moved by {falling.value:+.2f} ± {falling.error:.2f}, "
                    f"that of {other} by {rising.value:+.2f} ± {rising.error:.2f}"
                )
    return None


def length_collapse(history: History, task: str, at: Thresholds) -> str | None:
    """Answers are less than half as long as they once were."""
    length = history.curve(task, "length")
    if len(length.values) < 2 * at.window:
        return None
    now = mean(length.last(at.window).values)
    longest = _longest(length.values[: -at.window], at.window)
    assert now is not None
    shrunk = difference(now, longest)
    assert shrunk is not None
    if longest.value < at.long or now.value >= at.collapse * longest.value or not shrunk.below(0.0, at.errors):
        return None
    reward = history.curve(task, "reward")
    moved = difference(mean(reward.last(at.window).values), mean(_before(reward, at.window).values))
    paid = "" if moved is None else f"; its reward moved by {moved.value:+.2f} ± {moved.error:.2f} meanwhile"
    return f"answers are {now.value:.1f} tokens long, after {longest.value:.1f}{paid}"


CHECKS: dict[str, Callable[[History, str, Thresholds], str | None]] = {
    "early saturation": early_saturation,
    "perception falls": perception_falls,
    "length collapse": length_collapse,
}


class Alarms:
    """All warnings of a run that is told step by step.

    Attributes:
        raised: In the order in which they arose. One that holds for many steps is one, and so is one that comes back
            within a window.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        """Starts with none."""
        self.raised: list[Alarm] = []
        self._at = thresholds or Thresholds()
        self._holding: dict[tuple[str, str], int] = {}

    def check(self, history: History) -> Iterator[Alarm]:
        """Looks at a history that has grown by a step; yields the warnings that arise with it."""
        step = history.steps[-1]
        for task in history.tasks:
            for kind, due in CHECKS.items():
                message = due(history, task, self._at)
                place = self._holding.get((kind, task))
                if message is None:
                    if place is not None and step - self.raised[place].until >= self._at.window:
                        del self._holding[kind, task]
                elif place is not None:
                    self.raised[place] = replace(self.raised[place], until=step)
                else:
                    self._holding[kind, task] = len(self.raised)
                    self.raised.append(Alarm(kind, task, step, step, message))
                    yield self.raised[-1]


def _before(curve: Curve, window: int) -> Curve:
    """The window before the last."""
    part = slice(-2 * window, -window)
    return Curve(curve.steps[part], curve.values[part], curve.rollouts[part])


def _change(curve: Curve, window: int) -> Estimate | None:
    """How far the line through the last window leads."""
    if len(curve.values) < window:
        return None
    last = curve.last(window)
    line = slope(last.steps, last.values)
    span = last.steps[-1] - last.steps[0]
    return line and Estimate(line.value * span, line.error * span, line.samples)


def _longest(values: list[float], window: int) -> Estimate:
    """The mean of the window in which it was greatest, of windows laid end to end."""
    windows = [values[end - window : end] for end in range(window, len(values) + 1, window)]
    return mean(max(windows, key=fmean)) or Estimate(0.0, 0.0, 0)
