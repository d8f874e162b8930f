"""Which deployments another router leaves as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rewardmesh.services import deployment
from rewardmesh.services.deployment import mark
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.replica_door import Key

SPEC = RewardSpec("counting", {"thinking": [["<a>", "</a>"]]}, replicas=2)
KEY = Key("token", "127.0.0.1")


def test_the_same_settings_have_one_mark() -> None:
    assert mark(SPEC, KEY) == mark(replace(SPEC, options=dict(SPEC.options)), Key(*KEY))


@pytest.mark.parametrize(
    "changed",
    [{"name": "temporal"}, {"options": {}}, {"replicas": 3}, {"sources": {"zoo": {}}}, {"resources": {"GPU": 1}}],
)
def test_other_settings_have_another(changed: dict[str, Any]) -> None:
    assert mark(replace(SPEC, **changed), KEY) != mark(SPEC, KEY)


def test_so_have_another_token_and_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = mark(SPEC, KEY)
    assert mark(SPEC, Key("another", KEY.host)) != known
    assert mark(SPEC, None) != known
    monkeypatch.setattr(deployment, "provider_version", lambda name: "9.9")
    assert mark(SPEC, KEY) != known
