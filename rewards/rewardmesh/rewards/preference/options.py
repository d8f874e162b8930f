"""What mesh.yaml says of reward models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, cast, get_args

Protocol: TypeAlias = Literal["vllm_classify", "vllm_pooling", "sglang"]
Ensemble: TypeAlias = Literal["min", "mean_minus_sd"]

# The name of the model that the option `checkpoint` gives.
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """A reward model.

    Attributes:
        checkpoint: Its folder. For a model behind a url its tokenizer and its calibration are enough.
        device: "cpu", "cuda", "cuda:1"; "auto" is the first GPU, if there is one.
        dtype: "float32" or "bfloat16"; "auto" is the checkpoint's own on a GPU and float32 on a CPU.
        output: Which of the head's outputs is the score, where it has several.
        url: Where a server answers for it: "http://127.0.0.1:8000/classify".
        protocol: What that server speaks.
        served_as: What that server calls the model.
        max_tokens: How many tokens that server reads.
        timeout_seconds: How long that server may take for a batch.
    """

    checkpoint: str
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    output: int | None = None
    url: str = ""
    protocol: Protocol = "vllm_classify"
    served_as: str = ""
    max_tokens: int = 8192
    timeout_seconds: float = 30.0

    @classmethod
    def read(cls, name: str, given: Any) -> ModelOptions:
        """Reads an entry of `models`. Raises ValueError; the message says where."""
        known = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping):
            raise ValueError(f"models.{name} must be a mapping with `checkpoint`, not {given!r:.80}")
        if unknown := sorted(set(map(str, given)) - set(known)):
            raise ValueError(f"models.{name} has no option {unknown[0]!r}; there are {', '.join(known)}")
        if not isinstance(given.get("checkpoint"), str):
            raise ValueError(f"models.{name}.checkpoint must be a folder, not {given.get('checkpoint')!r:.80}")
        found = cls(**given)
        _one_of(f"models.{name}.dtype", found.dtype, ("auto", "float32", "bfloat16"))
        _one_of(f"models.{name}.protocol", found.protocol, get_args(Protocol))
        return found


def read_models(checkpoint: str | None, models: Mapping[str, Any] | None) -> dict[str, ModelOptions]:
    """All models by name; that of the option `checkpoint` is `DEFAULT`. Raises ValueError."""
    found = {str(name): ModelOptions.read(str(name), given) for name, given in (models or {}).items()}
    if checkpoint:
        found.setdefault(DEFAULT, ModelOptions(checkpoint))
    return found


def read_names(option: str, given: str | Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The models that an option names: one, several, or none. Raises ValueError."""
    names = (given,) if isinstance(given, str) else tuple(given or ())
    for name in names:
        _one_of(option, name, known)
    if len(set(names)) != len(names):
        raise ValueError(f"{option} names a model twice: {', '.join(names)}")
    return names


def read_ensemble(given: str) -> Ensemble:
    """How several models are one. Raises ValueError."""
    _one_of("ensemble", given, get_args(Ensemble))
    return cast(Ensemble, given)


def _one_of(option: str, given: object, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(f"{option} must be one of {', '.join(known) or 'none'}, not {given!r:.80}")
