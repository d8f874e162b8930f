"""A vLLM engine that samples as the policy would, and takes over its weights. Written against vLLM 0.33.

vLLM needs a GPU and is no dependency of this package: it is imported when an engine is started.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import nn

Transfer: TypeAlias = Literal["ipc", "nccl"]


@dataclass(frozen=True, slots=True)
class VllmConfig:
    """How the engine runs.

    Attributes:
        transfer: How weights reach it: "ipc" when it shares the trainer's GPU, "nccl" when it has its own.
        dtype: What it computes in; the policy's own precision, for the smallest mismatch.
        gpu_share: Of a GPU's memory, for its weights and its cache.
        max_tokens: Prompt and completion together, at most.
        gpus: Over how many it is split.
        master_port: Of the rendezvous on 127.0.0.1, for "nccl".
    """

    transfer: Transfer = "ipc"
    dtype: str = "bfloat16"
    gpu_share: float = 0.4
    max_tokens: int = 8192
    gpus: int = 1
    master_port: int = 29_511


def start_engine(folder: Path, config: VllmConfig) -> Any:
    """A `vllm.LLM` of a checkpoint folder.

    Log-probabilities are the processed ones: of the distribution that is sampled, with what is banned left out. The
    checkpoint's own sampling defaults are left out too.

    Raises:
        ImportError: vLLM is not installed.
    """
    vllm: Any = importlib.import_module("vllm")
    transfer: Any = importlib.import_module("vllm.config.weight_transfer")
    return vllm.LLM(
        model=str(folder),
        dtype=config.dtype,
        max_model_len=config.max_tokens,
        gpu_memory_utilization=config.gpu_share,
        tensor_parallel_size=config.gpus,
        enable_prefix_caching=True,  # the completions of a prompt share it
        logprobs_mode="processed_logprobs",
        generation_config="vllm",
        weight_transfer_config=transfer.WeightTransferConfig(backend=config.transfer),
    )


class WeightSync:
    """Sends a model's weights to an engine through vLLM's own weight transfer.

    Args:
        engine: A `vllm.LLM` whose transfer is that of `config`.
        model: The trained model, sharded or whole.
        config: The engine's.
        rank: Of this process among the trainer's. All take part; the first talks to the engine.
    """

    def __init__(self, engine: Any, model: nn.Module, config: VllmConfig, rank: int = 0) -> None:
        base: Any = importlib.import_module("vllm.distributed.weight_transfer")
        info: Any
        if config.transfer == "ipc":
            ipc: Any = importlib.import_module("vllm.distributed.weight_transfer.ipc_engine")
            info = ipc.IPCTrainerInitInfo(rank=rank, packed=True)
        else:
            nccl: Any = importlib.import_module("vllm.distributed.weight_transfer.nccl_engine")
            info = nccl.NCCLTrainerInitInfo("127.0.0.1", config.master_port, 1 + config.gpus, rank=rank)
        self._engine = engine
        self._client = _Client(engine)
        self._sender: Any = base.WeightTransferTrainerFactory.trainer_init(
            info, client=self._client, source=base.ModuleSource(model)
        )

    def send(self, version: int) -> None:
        """Sends all weights, and has the engine forget what it computed with the old ones.

        Raises:
            RuntimeError: The engine kept keys and values of the old weights: it was still generating.
        """
        self._client.version = str(version)
        self._sender.send_weights()
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM did not drop its prefix cache: it holds keys and values of the old weights")
        self._engine.llm_engine.reset_encoder_cache()  # and the features of images


class _Client:
    """What vLLM's trainer side asks of an engine in the same process; its transport is a function call."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.version = "0"

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._engine.init_weight_transfer_engine({"init_info": init_info})

    def start_weight_update(self) -> None:
        self._engine.start_weight_update()

    def update_weights(self, update_info: Any) -> None:
        self._engine.update_weights({"update_info": update_info})

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        self._engine.finish_weight_update(weight_version or self.version)
