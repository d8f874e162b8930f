"""Where routers are: a list of targets, and the addresses behind a DNS name."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from typing import NamedTuple

from rewardmesh.trainer_client.channel import checked_target

# A name whose addresses we look up ourselves: gRPC, given the name, would stay with one of them.
_NAME = re.compile(r"dns:(?:///)?(?P<host>\[[^\s/\[\]]+\]|[^\s/:\[\]]+):(?P<port>[0-9]{1,5})")


class Address(NamedTuple):
    """What a channel is opened to.

    Attributes:
        target: As gRPC takes it.
        name: The name it was found under; empty where the target is the name.
    """

    target: str
    name: str = ""


def parse(targets: str | Sequence[str]) -> tuple[str, ...]:
    """The targets of "a:1,b:2" or a sequence of such, each once. Raises ValueError for what is none."""
    texts = [targets] if isinstance(targets, str) else targets
    parts = [checked_target(part) for text in texts for part in text.split(",")]
    if not parts:
        raise ValueError("target must be HOST:PORT, got an empty list")
    return tuple(dict.fromkeys(parts))


def is_name(target: str) -> bool:
    """Whether there may be several addresses behind the target, which `resolve` finds, and which may change."""
    return _NAME.fullmatch(target) is not None


async def resolve(name: str) -> list[Address]:
    """The addresses behind a name; where there is only one, the name itself; none when it cannot be resolved."""
    found = _NAME.fullmatch(name)
    assert found is not None, name
    host = found["host"].strip("[]")
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, int(found["port"]), type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses: dict[str, Address] = {}
    for family, _, _, _, end in infos:
        target = f"[{end[0]}]:{end[1]}" if family == socket.AF_INET6 else f"{end[0]}:{end[1]}"
        addresses[target] = Address(target, host)
    return list(addresses.values()) if len(addresses) > 1 else [Address(name)]
