"""A worker process: answers rollouts over its socket, each within limits, until the socket closes.

A chunk comes in one piece: for each rollout four bytes of length and a `rewardmesh.v1` Rollout. Each is answered as
soon as it is judged, in order: four bytes of length, one byte, and a Verdict. So when a worker dies, the rollout it
died of is the first without an answer. The byte is 1 when the worker ends with this answer, because it ran into a
limit (the code that was interrupted may have left anything half done) or has grown too large.
"""

from __future__ import annotations

import resource
import socket
import struct
import time

from rewardmesh.contract.codec import encode_verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import InvalidReferenceError, InvalidRolloutError, LimitError
from rewardmesh.contract.verdict import Failure, Outcome, Verdict
from rewardmesh.rewards.base import Reward
from rewardmesh.services.judge import judge_blocking
from rewardmesh.services.limits import Limits
from rewardmesh.v1 import reward_pb2 as pb

ROLLOUT_HEADER = struct.Struct("!I")
VERDICT_HEADER = struct.Struct("!I?")
# Caches without bounds are common in what rewards build on: ANTLR's grow by 20 KB with every new kind of formula. A
# fresh worker costs milliseconds, and an innocent rollout must not find the memory of its process full.
GROWTH_BYTES = 64 << 20
_READ_BYTES = 1 << 16


def serve(channel: socket.socket, reward: Reward) -> None:
    """Serves one worker's socket. Raises OSError when the pool hangs up on it."""
    limits = Limits()
    largest = _peak_bytes() + GROWTH_BYTES
    stream = channel.makefile("rb", _READ_BYTES)
    leaves = False
    while not leaves and (header := stream.read(ROLLOUT_HEADER.size)):
        message = pb.Rollout.FromString(stream.read(ROLLOUT_HEADER.unpack(header)[0]))
        began = time.perf_counter()
        outcome = _judge(limits, reward, Envelope(message))
        over = isinstance(outcome, Failure) and outcome.kind == "limit_exceeded"
        leaves = over or _peak_bytes() > largest
        verdict = encode_verdict(Verdict(message.id, outcome, seconds=time.perf_counter() - began))
        data = verdict.SerializeToString()
        channel.sendall(VERDICT_HEADER.pack(len(data), leaves) + data)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # a peak leaves a heap with holes behind


def _judge(limits: Limits, reward: Reward, envelope: Envelope) -> Outcome:
    try:
        [outcome] = limits.within(lambda: judge_blocking(reward, [envelope.open()]))
    except (InvalidRolloutError, InvalidReferenceError, LimitError) as error:
        return Failure.from_error(error)
    return outcome
