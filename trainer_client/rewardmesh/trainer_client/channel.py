"""The way to a router: gRPC, loaded such that this process may be forked, and how its channels are set up.

gRPC's own fork support, on by default, does not know the asyncio stack: in a forked child it wakes threads that crash
the child, more often than not, even when the child (a worker of a DataLoader, say) never calls gRPC. It can only be
switched off before gRPC is loaded, so what else uses gRPC here takes it from this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
from grpc import ChannelConnectivity
from grpc.aio import AioRpcError, Channel, StreamStreamCall, insecure_channel, secure_channel

__all__ = [
    "LOADED_IN",
    "AioRpcError",
    "Channel",
    "ChannelConnectivity",
    "StreamStreamCall",
    "checked_target",
    "open_channel",
]

LOADED_IN = os.getpid()  # gRPC works in the process that loaded it; in a process forked from that, calls may hang

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_send_message_length", -1),  # messages are split before they are sent
    ("grpc.max_receive_message_length", -1),  # Failures say why: an answer can be larger than its request
    ("grpc.use_local_subchannel_pool", 1),  # a new channel dials anew, instead of sharing another's backoff
)

_SCHEME = re.compile(r"(dns|unix|unix-abstract|vsock|ipv4|ipv6|xds):.+")  # the names gRPC resolves itself
_HOST_PORT = re.compile(r"(\[[^\s/\[\]]+\]|[^\s/:\[\]]+):([0-9]{1,5})")  # an IPv6 address stands in brackets


def checked_target(target: str) -> str:
    """The target, if it is HOST:PORT or a name of gRPC's such as dns:///host:port. Raises ValueError.

    gRPC itself takes any text, and then fails to connect, or connects to a port nobody named.
    """
    found = _HOST_PORT.fullmatch(target)
    if not (_SCHEME.fullmatch(target) or (found and 0 < int(found[2]) < 2**16)):
        raise ValueError(f"target must be HOST:PORT, got {target!r}")
    return target


def open_channel(target: str, root_certificates: bytes | None, name: str = "") -> Channel:
    """A channel to host:port; with PEM certificates to check the server's with, over TLS.

    `name` is the host as the server knows itself and its certificate names it, where the target is a bare address.
    """
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if name:
        options.append(("grpc.default_authority", name))
    if root_certificates is None:
        return insecure_channel(target, options)
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    return secure_channel(target, grpc.ssl_channel_credentials(root_certificates), options)
