"""Trains a reward model from a base model and pairs, and writes a calibrated checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from rewardmesh.models.chat import ChatTokenizer
from rewardmesh.models.pictures import Eye
from rewardmesh.models.reward_model import RewardModel
from rewardmesh.rewards.preference import calibration, golden
from rewardmesh.rewards.preference.calibration import Calibration, Method
from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.training.adapters import add_lora, freeze_vision
from rewardmesh.rewards.preference.training.calibrate import calibrate
from rewardmesh.rewards.preference.training.fit import Fit, Options
from rewardmesh.rewards.preference.training.pair_file import Pair
from rewardmesh.rewards.preference.training.pair_reader import PairReader
from rewardmesh.rewards.preference.training.reliability import accuracy
from rewardmesh.rewards.preference.training.split import digest
from rewardmesh.rewards.preference.training.training_state import Position, ResumeError, TrainingState, unfinished

# What a checkpoint has besides weights and configuration, and inherits from its base.
_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a training gave.

    Attributes:
        pairs: How many were trained on.
        too_long: How many of the training pairs were left out, as they are longer than the limit.
        held_out: How many it was evaluated on.
        accuracy: Share of these whose chosen completion scores higher, a tie counting half; NaN if there are none.
        by_kind: The same by what is wrong with the rejected one, where the data says.
        calibration: As written.
        parameters: How many the model has.
        trained: How many of them were trained.
    """

    pairs: int
    too_long: int
    held_out: int
    accuracy: float
    by_kind: dict[str, float]
    calibration: Calibration
    parameters: int
    trained: int


def train(
    training: Sequence[Pair],
    held_out: Sequence[Pair],
    base: Path,
    out: Path,
    options: Options,
    method: Method = "sigmoid",
    resume: bool = False,
    tell: Callable[[str], object] = lambda text: None,
) -> Report:
    """Trains, and writes the checkpoint folder; torch's global generator is left as it was.

    Args:
        training: Pairs to train on.
        held_out: Pairs to evaluate on and to fit the calibration to; without any the training pairs serve for that.
        base: A language model's checkpoint folder, of text or of text and images.
        out: The checkpoint folder. Until the training ends its subfolder `training` holds what is needed to resume.
        options: How.
        method: Of the calibration.
        resume: Goes on where a training into `out` was interrupted.
        tell: Is given a line about the data before the training starts.

    Raises:
        OSError: A file is missing or cannot be written.
        ValueError: Something does not fit: data and model, `out` and `resume`. The message says what.
        Exception: Whatever transformers raises for a damaged base.
    """
    if out.resolve() == base.resolve():
        raise ValueError(f"out is the base's own folder, {base}: name another one")
    if unfinished(out) and not resume:
        raise ResumeError(f"{out} holds an unfinished training: give --resume to go on, or remove its subfolder")
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        model = RewardModel.new(base)
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        tokenizer = ChatTokenizer(base, model.image_token)
        model.check_vocabulary(tokenizer.size)
        eye = Eye(base) if model.image_token is not None else None
        parameters = sum(p.numel() for p in model.parameters())
        merge = _choose_weights(model, options)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        fit = Fit(model, PairReader(tokenizer, eye, min(options.max_tokens, model.max_tokens)), training, options)
        if not fit.pairs:
            raise ValueError(f"no pair to train on: all {len(training)} are longer than {options.max_tokens} tokens")
        left_out = f"; left out {fit.too_long} that are longer than the limit" if fit.too_long else ""
        tell(f"training on {len(fit.pairs)} pairs, {len(held_out)} held out{left_out}")
        settings = asdict(options) | {"data": digest(training), "base": str(base.resolve())}
        state = TrainingState(out, settings, model, fit.optimiser, fit.schedule)
        if resume:
            position = state.restore()
        else:
            position = Position()
            state.save(position)  # from now on it can be resumed
        fit.run(held_out, state, position)
        merge()
        _write(model, base, out)
        found = calibrate(Checkpoint(out, dtype="float32"), held_out or training, method)
        state.remove()
        scores = [(pair.kind, both) for pair, both in zip(held_out, fit.scores(held_out), strict=True) if both]
        return Report(
            pairs=len(fit.pairs),
            too_long=fit.too_long,
            held_out=len(scores),
            accuracy=accuracy(both for _, both in scores),
            by_kind={
                kind: accuracy(both for its, both in scores if its == kind)
                for kind in sorted({kind for kind, _ in scores if kind})
            },
            calibration=found,
            parameters=parameters,
            trained=trained,
        )


def _choose_weights(model: RewardModel, options: Options) -> Callable[[], None]:
    """Decides what is trained; returns what is to be done with it at the end."""
    if options.freeze_vision:
        freeze_vision(model)
    return add_lora(model, options.lora, not options.freeze_vision) if options.lora else lambda: None


def _write(model: RewardModel, base: Path, out: Path) -> None:
    for name in (calibration.FILE, golden.FILE):  # an older checkpoint's: this one's come last
        (out / name).unlink(missing_ok=True)
    model.save(out)
    for file in out.glob("*.safetensors"):  # written for their owner only, and another user may serve them
        file.chmod((out / "config.json").stat().st_mode)
    for name in _COPIED:
        if (base / name).exists():
            shutil.copyfile(base / name, out / name)
