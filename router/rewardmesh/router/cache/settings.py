"""The part of mesh.yaml about the score cache."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

SCHEMES = ("redis", "rediss", "unix")
OPTIONS = ("db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
WEEK = 7 * 24 * 60 * 60


def _redis_url(url: str) -> str:
    """Raises ValueError, which never quotes the URL: it may hold a password."""
    wrong = "must be redis://host:port, rediss://host:port (TLS) or unix:///path, the port may be left out"
    try:
        parts = urlsplit(url)
        place = parts.path.strip("/") if parts.scheme == "unix" else parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, among others
        raise ValueError(wrong) from None
    if parts.scheme not in SCHEMES or not place:
        raise ValueError(wrong)
    # The client's other options would win over the time-outs and the protocol that this cache needs.
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in OPTIONS:
            raise ValueError(f"takes no option {name!r:.40}, only {', '.join(OPTIONS)}")
        if name == "db" and not (value.isascii() and value.isdigit()):
            raise ValueError("db must be a number")
    return url


class CacheSettings(BaseModel):
    """Where scores are remembered, and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lru_bytes: NonNegativeInt = 64 * 2**20
    """Memory for scores in this process; 0 turns that cache off."""
    redis: Annotated[str, AfterValidator(_redis_url)] | None = Field(default=None, repr=False)
    """A Redis (no cluster) that routers share; it may be lost, full or wiped at any time. Not shown: it may hold a
    password."""
    redis_timeout_seconds: PositiveFloat = Field(default=0.05, allow_inf_nan=False)
    """The most that one look into Redis may take."""
    ttl_seconds: PositiveInt = WEEK
    """For how long Redis keeps a score."""
