"""The three parts of a vision-language model, found by what transformers calls them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["vision", "projector", "language"]
PARTS: tuple[Part, ...] = ("vision", "projector", "language")
# A projector may be inside the vision encoder (Qwen-VL's mergers) or beside it.
_PROJECTORS = {"merger", "deepstack_merger_list", "multi_modal_projector", "mm_projector", "connector", "aligner"}
_VISIONS = {"visual", "vision_tower", "vision_model", "vision_encoder", "image_tower"}


@dataclass(frozen=True, slots=True)
class PartRates:
    """The learning rate of each part.

    Attributes:
        vision: The vision encoder's; None freezes it.
        projector: What turns its features into the language model's embeddings; None freezes it.
        language: Everything else, embeddings and output layer included; None freezes it.

    Raises:
        ValueError: A rate that is not positive, or everything frozen.
    """

    vision: float | None
    projector: float | None
    language: float | None

    def __post_init__(self) -> None:
        rates = [rate for rate in (self.vision, self.projector, self.language) if rate is not None]
        if not rates or min(rates) <= 0:
            raise ValueError(
                f"learning rates must be positive, and one of them given (None freezes a part), got {self}"
            )

    def of(self, part: Part) -> float | None:
        """The rate of one part."""
        return {"vision": self.vision, "projector": self.projector, "language": self.language}[part]


def part_of(parameter: str) -> Part:
    """The part that a parameter belongs to, by its dotted name."""
    names = set(parameter.split("."))
    if names & _PROJECTORS:
        return "projector"
    return "vision" if names & _VISIONS else "language"


def check_parts(parameters: Iterable[str], sees: bool) -> None:
    """Raises ValueError where a model that sees has parts by other names: they would train at another part's rate."""
    found = {part_of(name) for name in parameters}
    if sees and found != set(PARTS):
        raise ValueError(f"this model sees, but of vision, projector and language only {sorted(found)} were found")
