"""Which targets a client takes."""

from __future__ import annotations

import pytest

from rewardmesh.trainer_client.client import RewardClient


@pytest.mark.parametrize(
    "target",
    [
        "",
        "localhost",
        ":50051",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:http",
        "::1:50051",
        "http://localhost:50051",
        "localhost:50051/x",
        "local host:1",
        "localhost:1\n",
        "localhost:١",
        "unix:",
    ],
)
def test_a_target_that_is_none_is_refused_at_once(target: str) -> None:
    with pytest.raises(ValueError, match="target must be HOST:PORT, got") as caught:
        RewardClient(target)
    assert repr(target) in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        "localhost:1",
        "[::1]:50051",
        "my_router.ns.svc:65535",
        "dns:///host:1",
        "unix:/tmp/x",
        "unix:///tmp/x",
        "ipv4:1.2.3.4:5",
        "ipv6:[::1]:5",
        "dns:host",
    ],
)
def test_targets_that_grpc_knows_are_kept(target: str) -> None:
    assert RewardClient(target).target == target
