"""The engines every suite runs on, each started once per run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import settings

from rewardmesh.rewards.registry import discover
from rewardmesh.services.engine import Engine, RewardSpec
from rewardmesh.services.local import LocalEngine
from rewardmesh.services.serve import ServeEngine

# Examples are not timed: the machine may be busy with a Ray cluster.
settings.register_profile("rewardmesh", deadline=None)
settings.load_profile("rewardmesh")

# What mesh.yaml may say of single sources, and of thinking. No other test sends rollouts of these.
SOURCES = {"math": {"unmarked": {"last_number": True}}, "counting": {"planned": {"thinking": [["<plan>", "</plan>"]]}}}
THINKING = [["<musing>", "</musing>"]]


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["local", "serve"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Every installed reward, the plugin's hazards included, on each engine in turn."""
    specs = [RewardSpec(name, sources=SOURCES.get(name, {}), thinking=THINKING) for name in discover()]
    engine: Engine = LocalEngine(specs) if request.param == "local" else ServeEngine(specs)
    await engine.start()
    yield engine
    await engine.close()
