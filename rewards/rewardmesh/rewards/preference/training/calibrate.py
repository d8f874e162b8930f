"""Fits a checkpoint's calibration on held-out pairs, and writes its golden scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardmesh.rewards.preference.calibration import REFERENCE_TEMPERATURE, REFERENCES, Calibration, Method
from rewardmesh.rewards.preference.checkpoint import Checkpoint
from rewardmesh.rewards.preference.evaluation.scoring import Question, score
from rewardmesh.rewards.preference.golden import golden_conversations, write_golden
from rewardmesh.rewards.preference.training.pair_file import Pair
from rewardmesh.rewards.preference.training.reliability import calibration_error, correlation
from rewardmesh.rewards.preference.training.split import digest


def calibrate(checkpoint: Checkpoint, pairs: Sequence[Pair], method: Method = "sigmoid") -> Calibration:
    """Writes the folder's `calibration.json` and `golden.json`.

    The pairs should be like the completions to be scored, and none the model was trained on. A pair whose completion
    is longer than the model reads is left out.

    Args:
        checkpoint: Loaded in float32.
        pairs: Both completions of each count.
        method: "sigmoid" fits mu and the temperature; "reference_centred" takes PAR's temperature.

    Raises:
        ValueError: The scores do not differ or are not finite, or the model is in half precision.
        OSError: A file cannot be read or written.
    """
    questions = [Question(pair.prompt, (pair.chosen, pair.rejected), pair.line) for pair in pairs]
    scores: list[tuple[float, float]] = []
    tokens: list[float] = []
    for chosen, rejected in score(checkpoint, questions, "calibrating"):
        if chosen.raw is not None and rejected.raw is not None:
            scores.append((chosen.raw, rejected.raw))
            tokens += [chosen.tokens, rejected.tokens]
    raw = [value for pair in scores for value in pair]
    fitted = Calibration.fit(raw, digest(pairs))
    if method == "reference_centred":
        fitted = replace(fitted, mu=0.0, temperature=REFERENCE_TEMPERATURE, method=method, references=REFERENCES)
    found = replace(fitted, ece=calibration_error(scores), length_correlation=correlation(raw, tokens))
    write_golden(checkpoint, golden_conversations(checkpoint.sees))
    found.save(checkpoint.folder)
    return found
