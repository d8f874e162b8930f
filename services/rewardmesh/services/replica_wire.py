"""What a router and a replica say to each other on the stream between them, and how they connect.

Both ways go serialised messages of `rewardmesh.v1`, and no new ones:

    router -> replica   ScoreRequest with an id and rollouts: score them; its timeout counts from its arrival
                        ScoreRequest with an id and no rollouts: nobody waits for that message any more
    replica -> router   ScoreResponse with an id: the verdicts of that message, in any order of messages
                        ScoreResponse without verdicts: the replica is leaving, send no more
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import grpc.aio

from rewardmesh.contract.envelope import Envelope
from rewardmesh.v1 import reward_pb2 as pb

SERVICE = "rewardmesh.internal.Replica"
METHOD = "Stream"
# Call metadata: the router's proof that it may ask, and the replica's name in return. A port that was a replica's
# yesterday may be another's today.
TOKEN_KEY = "rewardmesh-token"
REPLICA_KEY = "rewardmesh-replica"
END: object = cast(Any, grpc.aio).EOF  # what is read after the last message; gRPC sets it at run time
LEAVING = pb.ScoreResponse().SerializeToString()

# Limits on messages are the router's, which keeps them at its own door.
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# A machine that is cut off or frozen closes no connection: it is found out by its silence.
PING_MS, PONG_MS = 10_000, 5_000
CLIENT_OPTIONS = [
    *UNLIMITED,
    # A connection of its own for every stream, with no memory of failures of the one before.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),  # a node's address is nobody's business outside
    ("grpc.keepalive_time_ms", PING_MS),
    ("grpc.keepalive_timeout_ms", PONG_MS),
    ("grpc.http2.max_pings_without_data", 0),
]
SERVER_OPTIONS = [
    *UNLIMITED,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", PING_MS // 2),
    ("grpc.keepalive_time_ms", PING_MS),
    ("grpc.keepalive_timeout_ms", PONG_MS),
]

_LENGTH_DELIMITED = 2
_ROLLOUT_TAG = bytes([pb.ScoreRequest.DESCRIPTOR.fields_by_name["rollouts"].number << 3 | _LENGTH_DELIMITED])


def score_bytes(id: int, batch: Sequence[Envelope], timeout: float) -> bytes:
    """A serialised ScoreRequest: these rollouts, and the seconds left to score them.

    Put together from the serialised rollouts, as protobuf's own lists copy every message they take: a third less time.
    """
    head = pb.ScoreRequest(id=id)
    head.options.timeout_seconds = timeout
    parts = [head.SerializeToString()]
    for envelope in batch:
        data = envelope.message.SerializeToString()
        parts += (_ROLLOUT_TAG, _varint(len(data)), data)
    return b"".join(parts)


def cancel_bytes(id: int) -> bytes:
    """A serialised ScoreRequest that takes back the message of this id."""
    return pb.ScoreRequest(id=id).SerializeToString()


def _varint(number: int) -> bytes:
    """A number as protobuf writes lengths: seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
