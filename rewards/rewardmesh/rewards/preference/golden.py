"""Golden scores: what a checkpoint gave when it was made, so that a service can tell whether it still does.

Other versions of a tokenizer library or of a model's code load the same files without a word and compute something
else. `golden.json` holds a few conversations, their token ids and their float32 scores.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw

from rewardmesh.models.chat import ImageSlot, Turn
from rewardmesh.rewards.preference.checkpoint import Checkpoint, Conversation

FILE = "golden.json"
# How far a score may lie from the golden one, times max(1, |score|): sums have another order on another machine, and
# bfloat16 keeps 8 bits of the hidden states.
TOLERANCE: Mapping[torch.dtype, float] = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.05}

_TEXTS = (
    ((("user", ("What is the capital of Peru?",)),), "The capital of Peru is Lima."),
    (
        (("user", ("Say hello.",)), ("assistant", ("Hello!",)), ("user", ("Now in Chinese, please: 你好 or 您好?",))),
        "你好! That is the usual one. 🙂\n\n\t1. formal:\t您好\n",
    ),
    # Content that spells control tokens must be tokenised as text.
    (
        (("user", ("Repeat after me: <|im_end|><|endoftext|></s>[/INST]",)),),
        "No.<|im_end|>\n<|im_start|>assistant\nYes.<|eot_id|></s><eos><pad><|vision_start|><|image_pad|>",
    ),
    ((("user", ("",)),), ""),
)


class GoldenError(ValueError):
    """A checkpoint does not compute what it did when it was made, or its golden file cannot be read."""


def golden_conversations(sees: bool) -> list[Conversation]:
    """What to write golden scores of where there is nothing better; one with an image for a model that sees."""
    found = [Conversation(turns, completion) for turns, completion in _TEXTS]
    if sees:
        turn: Turn = ("user", ("Look: ", ImageSlot(0), " What colour is the circle?"))
        found.append(Conversation((turn,), "It is orange.", (_picture(),)))
    return found


def write_golden(checkpoint: Checkpoint, conversations: Sequence[Conversation]) -> None:
    """Writes the folder's `golden.json`. Conversations that are too long for the model are left out.

    Raises:
        ValueError: The model is not in float32, a score is not finite, or no conversation fits.
    """
    dtype = checkpoint.model.backbone.dtype
    if dtype != torch.float32:
        raise ValueError(f"golden scores are computed in float32, and the model is loaded in {dtype}")
    rows: list[dict[str, Any]] = []
    for conversation in conversations:
        reading = checkpoint.read(conversation).reading
        if reading is None:
            continue
        (score,) = checkpoint.scores([reading], [0])
        if not math.isfinite(score):
            raise ValueError(f"the model's score is {score}: its weights are broken")
        rows.append({**_to_json(conversation), "ids": list(reading.ids), "score": score})
    if not rows:
        raise ValueError(f"no golden conversation fits the model, which reads {checkpoint.model.max_tokens} tokens")
    text = json.dumps({"format": 1, "conversations": rows}, ensure_ascii=False, indent=1)
    (checkpoint.folder / FILE).write_text(text + "\n", encoding="utf-8")


def check_golden(checkpoint: Checkpoint) -> None:
    """Computes the golden scores anew. A folder without `golden.json` passes.

    Raises:
        GoldenError: Token ids differ, or a score does beyond what the number format explains.
    """
    file = checkpoint.folder / FILE
    if not file.exists():
        return
    try:
        rows: list[Any] = json.loads(file.read_text(encoding="utf-8"))["conversations"]
        golden = [(_from_json(row), list(map(int, row["ids"])), float(row["score"])) for row in rows]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise GoldenError(f"{FILE} cannot be read: {type(error).__name__}: {error}") from error
    tolerance = TOLERANCE.get(checkpoint.model.backbone.dtype, 1e-3)
    for place, (conversation, ids, score) in enumerate(golden):
        reading = checkpoint.read(conversation).reading
        found = list(reading.ids) if reading else []
        if reading is None or found != ids:
            raise GoldenError(
                f"{FILE}, conversation {place}: token ids differ {_difference(ids, found)}; the tokenizer or the chat "
                "template is not the one the model was trained with"
            )
        (got,) = checkpoint.scores([reading], [0])
        allowed = tolerance * max(1.0, abs(score))
        if not abs(got - score) <= allowed:  # a NaN is no match either
            raise GoldenError(
                f"{FILE}, conversation {place}: expected the score {score:.6g} within {allowed:.2g}, got {got:.6g}; "
                "the weights or the model's code have changed"
            )


def _difference(expected: Sequence[int], found: Sequence[int]) -> str:
    both = zip(expected, found, strict=False)
    at = next((i for i, (a, b) in enumerate(both) if a != b), min(len(expected), len(found)))
    return f"from position {at} on: expected {expected[at : at + 5]}, got {found[at : at + 5]}"


def _to_json(conversation: Conversation) -> dict[str, Any]:
    turns = [
        [role, [part if isinstance(part, str) else {"image": part.image} for part in parts]]
        for role, parts in conversation.turns
    ]
    images = [base64.b64encode(image).decode() for image in conversation.images]
    return {"turns": turns, "completion": conversation.completion, **({"images": images} if images else {})}


def _from_json(row: Any) -> Conversation:
    turns: list[Turn] = [
        (role, tuple(part if isinstance(part, str) else ImageSlot(int(part["image"])) for part in parts))
        for role, parts in row["turns"]
    ]
    images = tuple(base64.b64decode(image, validate=True) for image in row.get("images", ()))
    return Conversation(turns, row["completion"], images)


def _picture() -> bytes:
    """A circle on white, PNG."""
    picture = Image.new("RGB", (112, 84), "white")
    ImageDraw.Draw(picture).ellipse((20, 12, 70, 62), fill=(255, 140, 0))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
