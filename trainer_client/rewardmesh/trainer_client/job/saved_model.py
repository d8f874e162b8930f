"""The trained model as a checkpoint folder like the one it came from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.policy.policy import Policy

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".index.json", ".h5", ".msgpack", ".onnx")


def save_model(policy: Policy, origin: Path, folder: Path) -> None:
    """Writes weights and configuration, and what else lies in the folder the model came from: tokenizer, processor.

    The folder appears whole, or replaces another. Weights are float32, as they were trained.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in origin.iterdir():
        if file.is_file() and not file.name.endswith(_WEIGHTS):
            shutil.copy(file, part / file.name)
    model: Any = policy.model
    model.save_pretrained(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
