"""How much a person would like a completion, as reward models see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rewardmesh.contract import InvalidRolloutError, PreferenceReference, Rollout, Score, UnavailableError
from rewardmesh.rewards.answer import with_tags
from rewardmesh.rewards.preference.options import Ensemble, read_ensemble, read_models, read_names

if TYPE_CHECKING:  # torch is an extra, and slow to import: only a constructed reward needs it
    from rewardmesh.rewards.preference.judged import Case, Judge, Judgement

OPTION = "rewards.preference.options.checkpoint"


class PreferenceReward:
    """Scores completions with Bradley-Terry reward models (arXiv 1706.03741, equation 1), of text or of images too.

    The value is the calibrated score, `Score.raw` the model's own, `Score.model` says which version of which model and
    calibration gave it. Components: `tokens` of the completion, `cut`, the prompt's tokens that did not fit the model,
    and of an ensemble each model's value and raw score by its name. Thinking is not judged. An empty, degenerate,
    unfinished or over-long answer is a Score of 0, as the policy could have written another.

    Args:
        checkpoint: A folder with a reward model: the model "default".
        models: More of them by name; see `ModelOptions`.
        text: Which models judge rollouts without images: a name, or several for an ensemble. Default: all there are
            that take no images, else all.
        image: The same for rollouts with images. Default: all that take images.
        ensemble: How several models are one: "min", or "mean_minus_sd".
        penalty: How many standard deviations are taken off the mean.
        thinking: Pairs of tags around thinking, besides those in `answer.TAGS`.

    Raises:
        ValueError: An option is wrong.
        UnavailableError: There is no model, or one cannot be loaded.
    """

    name = "preference"
    version = "2"
    cacheable = True
    reads = ("prompt", "completion", "reference", "images")

    def __init__(
        self,
        checkpoint: str | None = None,
        models: Mapping[str, Any] | None = None,
        text: str | Sequence[str] | None = None,
        image: str | Sequence[str] | None = None,
        ensemble: str = "min",
        penalty: float = 1.0,
        thinking: Sequence[Sequence[str]] = (),
    ) -> None:
        self._tags = with_tags(thinking)
        options = read_models(checkpoint, models)
        if not options:
            raise UnavailableError(f"no reward model is configured: set {OPTION} to a checkpoint folder")
        named = {"text": read_names("text", text, list(options)), "image": read_names("image", image, list(options))}
        self._ensemble: Ensemble = read_ensemble(ensemble)
        if not 0 <= penalty < float("inf"):
            raise ValueError(f"penalty must be a number of at least 0, not {penalty!r}")
        self._penalty = float(penalty)
        wanted = {*named["text"], *named["image"]} if all(named.values()) else options
        from rewardmesh.rewards.preference.loaded import loaded

        judges = {name: loaded(name, options[name]) for name in options if name in wanted}
        blind = [name for name, judge in judges.items() if not judge.sees]
        self._text = _named(judges, named["text"] or blind or list(judges))
        self._image = _named(judges, named["image"] or [name for name in judges if name not in blind])
        for name, judge in self._image.items():
            if not judge.sees:
                raise ValueError(f"image names {name!r}, which takes no images")

    @property
    def models(self) -> frozenset[str]:
        """Digests of the models that score now."""
        return frozenset(judge.digest for judge in (*self._text.values(), *self._image.values()))

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """One outcome per rollout, in order.

        Raises:
            UnavailableError: A model cannot be asked now.
        """
        cases: dict[int, Case] = {}
        found: dict[int, Score | Exception] = {}
        for place, rollout in enumerate(rollouts):
            case = self._case(place, rollout)
            if isinstance(case, Score | Exception):
                found[place] = case
            else:
                cases[place] = case
        for judges, places in self._routed(cases):
            if not judges:
                error = InvalidRolloutError("the rollout has images, and no reward model here takes any")
                found |= dict.fromkeys(places, error)
                continue
            judged = {name: judge.judge([cases[place] for place in places]) for name, judge in judges.items()}
            for index, place in enumerate(places):
                found[place] = self._outcome({name: each[index] for name, each in judged.items()})
        return [found[place] for place in range(len(rollouts))]

    def _case(self, place: int, rollout: Rollout) -> Case | Score | Exception:
        from rewardmesh.rewards.preference.conversation import conversation
        from rewardmesh.rewards.preference.judged import Case

        try:
            read = conversation(rollout, self._tags)
        except InvalidRolloutError as error:
            return error
        if isinstance(read, Score):
            return read
        reference = rollout.reference
        references = reference.completions if isinstance(reference, PreferenceReference) else ()
        return Case(read, rollout.group or place, tuple(references))

    def _routed(self, cases: Mapping[int, Case]) -> list[tuple[Mapping[str, Judge], list[int]]]:
        with_images = [place for place, case in cases.items() if case.conversation.images]
        without = [place for place, case in cases.items() if not case.conversation.images]
        return [(judges, places) for judges, places in ((self._text, without), (self._image, with_images)) if places]

    def _outcome(self, judgements: Mapping[str, Judgement]) -> Score | Exception:
        from rewardmesh.rewards.preference.ensemble import combined
        from rewardmesh.rewards.preference.judged import Judged, TooLong

        judged: dict[str, Judged] = {}
        for name, judgement in judgements.items():
            match judgement:
                case TooLong(tokens, limit):
                    return Score(0.0, "too_long", f"The answer has {tokens} tokens; the model reads {limit}.")
                case Judged():
                    judged[name] = judgement
                case _:
                    return judgement
        value, raw = combined(judged, self._ensemble, self._penalty)
        cut = max(each.cut for each in judged.values())
        components = {"tokens": float(max(each.tokens for each in judged.values())), "cut": float(cut)}
        if len(judged) > 1:
            components |= {name: each.value for name, each in judged.items()}
            components |= {f"{name}.raw": each.raw for name, each in judged.items()}
        note = f"The first {cut} tokens of the prompt did not fit the model." if cut else ""
        model = " ".join(each.model for each in judged.values())
        return Score(value, "scored", note, components=components, raw=raw, model=model)


def _named(judges: Mapping[str, Judge], names: Sequence[str]) -> dict[str, Judge]:
    return {name: judges[name] for name in names}
