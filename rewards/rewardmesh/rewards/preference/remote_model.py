"""A reward model behind the HTTP endpoint of vLLM or SGLang.

Token ids are sent, not text: the server would read a template's tokens spelt in a completion as control.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from rewardmesh.contract import InvalidReferenceError, InvalidRolloutError, UnavailableError
from rewardmesh.contract.errors import InvalidScoreError, UnreachableError
from rewardmesh.models.chat import ChatTokenizer, Encoded
from rewardmesh.models.chat_template import TemplateError
from rewardmesh.rewards.preference.calibration import Calibration
from rewardmesh.rewards.preference.judged import Case, Judged, Judgement, TooLong
from rewardmesh.rewards.preference.options import ModelOptions

# Answers of a server that may be another one in a moment.
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class RemoteModel:
    """Asks a server for raw scores and calibrates them here.

    Args:
        options: With a url; its checkpoint folder has `tokenizer.json`, a chat template and `calibration.json`.

    Attributes:
        sees: False: images are not sent.
        digest: Of the address, the name and the calibration; what weights the server has cannot be known.

    Raises:
        OSError, ValueError: A file is missing or damaged.
    """

    sees = False

    def __init__(self, options: ModelOptions) -> None:
        folder = Path(options.checkpoint)
        self._options = options
        self._calibration = Calibration.load(folder)
        self._tokenizer = ChatTokenizer(folder)
        self._session = requests.Session()
        self.digest = f"{options.served_as or options.url}+{self._calibration.digest}"

    def judge(self, cases: Sequence[Case]) -> list[Judgement]:
        """One per case, in order.

        Raises:
            UnavailableError: The server does not answer, or not as its protocol says.
        """
        asked = [self._ask(case) for case in cases]
        ids = [each.ids for found in asked if isinstance(found, list) for each in found]
        scores = iter(self._scores(ids) if ids else ())
        return [
            self._judged(found, [next(scores) for _ in found]) if isinstance(found, list) else found for found in asked
        ]

    def _ask(self, case: Case) -> list[Encoded] | TooLong | Exception:
        """The completion and the references it is compared with, as ids."""
        if case.conversation.images:
            return InvalidRolloutError("the rollout has images, and this reward model is asked over text only")
        centred = self._calibration.method == "reference_centred"
        if centred and not case.references:
            return InvalidReferenceError("the calibration compares with reference completions, and there are none")
        limit = self._options.max_tokens
        texts = [case.conversation.completion, *(case.references if centred else ())]
        try:
            found = [self._tokenizer.encode(case.conversation.turns, text, limit) for text in texts]
        except TemplateError as error:
            return InvalidRolloutError(f"the prompt cannot be read: {error}")
        if not found[0].ids:
            return TooLong(found[0].completion, limit)
        if not all(each.ids for each in found):
            return InvalidReferenceError(f"a reference completion has more than {limit} tokens")
        return found

    def _judged(self, asked: Sequence[Encoded], scores: Sequence[float]) -> Judgement:
        if not all(map(math.isfinite, scores)):
            return InvalidScoreError(f"the server's score is {scores[0]}")
        value = self._calibration(scores[0], scores[1:])
        return Judged(value, scores[0], self.digest, asked[0].completion, asked[0].cut)

    def _scores(self, ids: Sequence[Sequence[int]]) -> list[float]:
        url, protocol = self._options.url, self._options.protocol
        body: dict[str, Any] = {"model": self._options.served_as}
        match protocol:
            case "vllm_classify":
                body |= {"input": ids, "use_activation": False}  # else a lone label is the sigmoid of the score
            case "vllm_pooling":
                body |= {"input": ids, "task": "classify", "use_activation": False}
            case "sglang":
                body |= {"input_ids": ids}
        try:
            answer = self._session.post(url, json=body, timeout=self._options.timeout_seconds)
        except requests.RequestException as error:
            raise UnreachableError(f"{url} does not answer: {error}") from error
        if answer.status_code in _BUSY:
            raise UnreachableError(f"{url} answers {answer.status_code}: {answer.text:.200}")
        if not answer.ok:
            raise UnavailableError(f"{url} answers {answer.status_code}: {answer.text:.200}")
        try:
            scores = read_scores(protocol, answer.json())
        except (ValueError, LookupError, TypeError) as error:
            raise UnavailableError(f"{url} does not answer as {protocol} does: {answer.text:.200}") from error
        if len(scores) != len(ids):
            raise UnavailableError(f"{url} gives {len(scores)} scores for {len(ids)} completions")
        return scores


def read_scores(protocol: str, answer: Any) -> list[float]:
    """The scores in an answer, in the order of what was asked.

    Raises:
        ValueError, LookupError, TypeError: It is not an answer of this protocol.
    """
    if protocol == "sglang":
        return [_only(each["embedding"]) for each in (answer if isinstance(answer, list) else [answer])]
    data = sorted(answer["data"], key=lambda each: each["index"])
    if [each["index"] for each in data] != list(range(len(data))):
        raise ValueError("indices are missing")
    return [_only(each["probs" if protocol == "vllm_classify" else "data"]) for each in data]


def _only(value: Any) -> float:
    """The score in a list of one, of the last token where there is one per token."""
    while isinstance(value, list):
        if len(value) != 1 and not isinstance(value[-1], list):
            raise ValueError(f"{len(value)} numbers where one was expected")
        value = value[-1]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r:.80}")
    return float(value)
