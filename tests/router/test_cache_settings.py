"""Which Redis may be named, and that its password is not told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rewardmesh.router.cache import CacheSettings


@pytest.mark.parametrize(
    "url",
    ["redis://localhost", "redis://:p@h:1/2", "rediss://h?ssl_ca_certs=/ca.pem", "unix:///run/redis.sock?db=1"],
)
def test_urls_that_are_taken(url: str) -> None:
    assert CacheSettings(redis=url).redis == url


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://secret@h", "redis://", "redis:///0", "unix://", "redis://secret@h:x",
     "redis://secret@h:0", "redis://secret@h?db=x", "redis://secret@h?socket_timeout=9", "redis://secret@[h"],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CacheSettings(redis=url)
    assert "secret" not in caught.value.errors()[0]["msg"]


def test_settings_do_not_show_the_url() -> None:
    assert "secret" not in repr(CacheSettings(redis="redis://:secret@h"))
