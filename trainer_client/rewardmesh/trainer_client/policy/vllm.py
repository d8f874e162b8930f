"""Samples with vLLM: faster, in another precision, with weights that are sent to it after every step."""

from __future__ import annotations

import hashlib
import importlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image as Pillow

from rewardmesh.contract import ImagePart
from rewardmesh.trainer_client.policy.chat_reader import ChatReader
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import SamplingConfig
from rewardmesh.trainer_client.policy.vllm_engine import WeightSync
from rewardmesh.trainer_client.rollout import Prompt

# vLLM keeps so many biased tokens per request.
_MAX_BANS = 1024


class EngineError(RuntimeError):
    """The engine did something else than was asked: its completions are not the policy's."""


class VllmGeneration:
    """A `Generation` by a vLLM engine.

    It is told the same bans and the same ends as the policy knows, gives each completion a seed of its own, and is
    believed nothing: the tokens of the prompt, the end of the completion and the version of the weights are compared
    with the policy's. How far its log-probabilities are off is for the trainer to measure (`MismatchMeter`).

    Args:
        policy: Loaded from a checkpoint (`Policy.load`).
        config: How to sample.
        engine: From `start_engine`, of the same checkpoint.
        weights: What sends the policy's weights to the engine.

    Raises:
        ValueError: The policy does not come from a checkpoint, or bans more tokens than vLLM can.
    """

    def __init__(self, policy: Policy, config: SamplingConfig, engine: Any, weights: WeightSync) -> None:
        reader = policy.reader
        if not isinstance(reader, ChatReader):
            raise ValueError("vLLM samples from checkpoints only: the policy must be loaded from one")
        banned = torch.nonzero(policy.banned)[:, 0].tolist()
        if len(banned) > _MAX_BANS:
            raise ValueError(f"the policy bans {len(banned)} tokens and vLLM at most {_MAX_BANS}")
        self._policy = policy
        self._reader = reader
        self._config = config
        self._engine = engine
        self._weights = weights
        self._bans = dict.fromkeys(banned, -torch.inf)
        self._vllm: Any = importlib.import_module("vllm")
        self._params: Any = importlib.import_module("vllm.sampling_params")
        self._calls = 0
        self.sync()

    def sync(self) -> None:
        """Sends the policy's weights to the engine."""
        self._weights.send(self._policy.version)

    def generate(
        self, prompts: Sequence[Prompt], seed: int, finished: Callable[[Sequence[Completion]], None]
    ) -> list[Completion]:
        """As `Generation.generate`.

        Raises:
            EngineError: The engine read another prompt, ended otherwise than it may, or has old weights.
        """
        engine = self._engine.llm_engine
        size = self._config.group_size
        self._calls += 1
        places: dict[str, tuple[int, int]] = {}
        for place, prompt in enumerate(prompts):
            asked = self._asked(prompt)
            for number in range(size):
                name = f"{self._calls}/{place}/{number}"
                # A request each: one of n completions would be reported when the last of them is done.
                engine.add_request(name, asked, self._sampling(_seed(seed, place, number)))
                places[name] = (place, number)
        expected = [self._policy.encode(prompt).ids.tolist() for prompt in prompts]
        done: dict[tuple[int, int], Completion] = {}
        try:
            while engine.has_unfinished_requests():
                ended = [output for output in engine.step() if output.finished]
                new = [self._completion(output, places, expected) for output in ended]
                done.update(((each.prompt, each.number), each) for each in new)
                if new:
                    finished(new)
        except BaseException:
            engine.abort_request([name for name, place in places.items() if place not in done])
            raise
        if len(done) != len(places):
            raise EngineError(f"vLLM completed {len(done)} of {len(places)} requests")
        return [done[place] for place in sorted(done)]

    def _asked(self, prompt: Prompt) -> dict[str, Any]:
        """The prompt's tokens, one placeholder per image, and the images; vLLM expands the placeholders itself."""
        order = [part.image for message in prompt.messages for part in message.parts if isinstance(part, ImagePart)]
        asked: dict[str, Any] = {"prompt_token_ids": self._reader.compact(prompt)}
        if order:
            opened = [Pillow.open(io.BytesIO(prompt.images[image].data)).convert("RGB") for image in order]
            asked["multi_modal_data"] = {"image": opened}
        return asked

    def _sampling(self, seed: int) -> Any:
        return self._vllm.SamplingParams(
            n=1,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            seed=seed,
            max_tokens=self._config.max_tokens,
            logprobs=0,  # of the sampled token alone
            logit_bias=self._bans,
            stop_token_ids=self._policy.ends.tolist(),
            detokenize=False,
            output_kind=self._params.RequestOutputKind.FINAL_ONLY,
        )

    def _completion(
        self, output: Any, places: dict[str, tuple[int, int]], expected: Sequence[Sequence[int]]
    ) -> Completion:
        place, number = places[output.request_id]
        if list(output.prompt_token_ids) != list(expected[place]):
            raise EngineError(
                f"vLLM read prompt {place} as {len(output.prompt_token_ids)} tokens that are not the policy's "
                f"{len(expected[place])}: do they resize images alike?"
            )
        (made,) = output.outputs
        tokens = list(made.token_ids)
        ended = bool(tokens) and tokens[-1] in self._policy.ends.tolist()
        if made.finish_reason != ("stop" if ended else "length") or (
            not ended and len(tokens) < self._config.max_tokens
        ):
            raise EngineError(f"vLLM ended a completion of {len(tokens)} tokens by {made.finish_reason!r}")
        version = str(self._policy.version)
        stale = {span.version for span in made.weight_versions or ()} - {version}
        if stale:
            raise EngineError(f"vLLM sampled with weights {sorted(stale)}, and the policy has {version}")
        log_probs = [position[token].logprob for token, position in zip(tokens, made.logprobs, strict=True)]
        return Completion(
            place,
            number,
            torch.tensor(tokens),
            torch.tensor(log_probs),
            self._policy.decode(tokens),
            not ended,
            self._policy.version,
        )


def _seed(seed: int, prompt: int, number: int) -> int:
    """Of one completion: another for each, the same whenever the same is asked; 63 bits, as vLLM wants it."""
    digest = hashlib.sha256(f"{seed}/{prompt}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
