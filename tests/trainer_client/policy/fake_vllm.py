"""As much of vLLM 0.33's interface as is used here, over our own model on a CPU.

vLLM cannot run where these tests run: it needs a GPU. This stands in for it so that our side of the interface is
executed; it says nothing about vLLM's numerics or speed. Its model is a copy of its own that changes only by what is
sent to it; it applies `logit_bias` to raw logits and expands images' placeholders by itself, as vLLM does.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from rewardmesh.trainer_client.policy.encoded import Encoded
from rewardmesh.trainer_client.policy.policy import Policy


class RequestOutputKind(Enum):
    FINAL_ONLY = 2


@dataclass
class SamplingParams:
    n: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    max_tokens: int
    logprobs: int
    logit_bias: dict[int, float]
    stop_token_ids: list[int]
    detokenize: bool
    output_kind: RequestOutputKind


@dataclass
class Request:
    name: str
    prompt: Encoded
    params: SamplingParams
    tokens: list[int] = field(default_factory=list[int])
    logprobs: list[dict[int, Any]] = field(default_factory=list[dict[int, Any]])


class Core:
    """`LLMEngine`: one token of every request at each step."""

    def __init__(self, llm: FakeLlm) -> None:
        self._llm = llm
        self._requests: dict[str, Request] = {}

    def add_request(self, request_id: str, prompt: dict[str, Any], params: SamplingParams) -> str:
        assert (params.n, params.temperature, params.top_p, params.top_k) == (1, 1.0, 1.0, 0)
        self._requests[request_id] = Request(request_id, self._llm.expanded(prompt), params)
        return request_id

    def has_unfinished_requests(self) -> bool:
        return bool(self._requests)

    def abort_request(self, request_ids: list[str]) -> None:
        for name in request_ids:
            self._requests.pop(name, None)

    def reset_encoder_cache(self) -> None:
        self._llm.calls.append("reset_encoder_cache")

    def step(self) -> list[Any]:
        return [made for request in list(self._requests.values()) if (made := self._advance(request))]

    @torch.no_grad()
    def _advance(self, request: Request) -> Any:
        policy, params = self._llm.policy, request.params
        reading = policy.read([request.prompt])
        if request.tokens:
            ids = torch.tensor([request.tokens])
            policy.extend(reading, ids, torch.ones_like(ids, dtype=torch.bool))
        logits = reading.logits[0].float() / self._llm.temperature
        if self._llm.bans:
            for token, bias in params.logit_bias.items():
                logits[token] += bias
        log_probs = logits.log_softmax(0)
        generator = torch.Generator().manual_seed(params.seed + len(request.tokens))
        token = int(torch.multinomial(log_probs.exp(), 1, generator=generator))
        request.tokens.append(token)
        request.logprobs.append({token: SimpleNamespace(logprob=float(log_probs[token]))})
        stopped = token in params.stop_token_ids
        if not stopped and len(request.tokens) < params.max_tokens:
            return None
        del self._requests[request.name]
        made = SimpleNamespace(
            token_ids=request.tokens,
            logprobs=request.logprobs,
            finish_reason="stop" if stopped else "length",
            weight_versions=[SimpleNamespace(version=self._llm.version, start=0, end=len(request.tokens))],
        )
        ids = request.prompt.ids.tolist()
        return SimpleNamespace(request_id=request.name, finished=True, prompt_token_ids=ids, outputs=[made])


class FakeLlm:
    """`vllm.LLM`.

    Attributes:
        temperature, bans: To be set wrong.
        calls: What was asked of it, in order.
    """

    def __init__(self, model: str, **settings: Any) -> None:
        self.settings = settings
        self.policy = Policy.load(Path(model), device="cpu")
        self.llm_engine = Core(self)
        self.version = "default"
        self.temperature = 1.0
        self.bans = True
        self.calls: list[str] = []
        self._updating = False

    def expanded(self, prompt: dict[str, Any]) -> Encoded:
        """Looks at the images anew; `prompt_token_ids` has one placeholder for each."""
        images = prompt.get("multi_modal_data", {}).get("image", [])
        looker: Any = self.policy.reader._looker  # pyright: ignore -- it looks at images as the policy does
        placeholder = looker.placeholder if looker else None
        assert prompt["prompt_token_ids"].count(placeholder) == len(images)
        looked = []
        for image in images:
            file = io.BytesIO()
            image.save(file, "PNG")
            looked.append(looker.look(file.getvalue()))
        rest = iter(looked)
        ids: list[int] = []
        for token in prompt["prompt_token_ids"]:
            ids += next(rest).ids if token == placeholder else [token]
        tensor = torch.tensor(ids)
        if not looked:
            axes = looker.axes if looker else 1
            return Encoded(tensor, torch.arange(len(ids)).expand(axes, -1), len(ids))
        seen = {name: torch.cat([each.seen[name] for each in looked]) for name in looked[0].seen}
        positions = looker.positions(tensor, seen)
        return Encoded(tensor, positions, int(positions.max()) + 1, seen)

    def init_weight_transfer_engine(self, request: dict[str, Any]) -> None:
        assert request["init_info"] == {"packed": True}
        self.calls.append("init")

    def start_weight_update(self) -> None:
        assert not self._updating
        self._updating = True

    def update_weights(self, request: dict[str, Any]) -> None:
        assert self._updating
        info = request["update_info"]
        with torch.no_grad():
            own = dict(self.policy.model.named_parameters())
            assert list(own) == info["names"]
            for name, tensor in zip(info["names"], info["tensors"], strict=True):
                own[name].copy_(tensor)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        assert self._updating
        self._updating = False
        if weight_version is not None:
            self.version = weight_version
        self.calls.append("update")

    def reset_prefix_cache(self) -> bool:
        self.calls.append("reset_prefix_cache")
        return True


@dataclass
class IPCTrainerInitInfo:
    rank: int
    packed: bool = False


class ModuleSource:
    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def iter_full(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield from self._module.named_parameters()


class Sender:
    """The trainer's end of a transfer: `send_weights` is one whole update."""

    def __init__(self, client: Any, source: ModuleSource) -> None:
        self._client = client
        self._source = source

    def send_weights(self) -> None:
        self._client.start_weight_update()
        names, tensors = zip(*self._source.iter_full(), strict=True)
        self._client.update_weights({"names": list(names), "tensors": tensors})
        self._client.finish_weight_update()


class WeightTransferTrainerFactory:
    @classmethod
    def trainer_init(cls, init_info: IPCTrainerInitInfo, *, client: Any, source: ModuleSource) -> Sender:
        client.init_weight_transfer_engine({"packed": init_info.packed})
        return Sender(client, source)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts it where vLLM would be."""
    modules = {
        "vllm": {"LLM": FakeLlm, "SamplingParams": SamplingParams},
        "vllm.sampling_params": {"RequestOutputKind": RequestOutputKind},
        "vllm.config.weight_transfer": {"WeightTransferConfig": lambda backend: backend},
        "vllm.distributed.weight_transfer": {
            "WeightTransferTrainerFactory": WeightTransferTrainerFactory,
            "ModuleSource": ModuleSource,
        },
        "vllm.distributed.weight_transfer.ipc_engine": {"IPCTrainerInitInfo": IPCTrainerInitInfo},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
