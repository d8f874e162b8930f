"""`rewardmesh rewards`: the rewards a router serves, or those mesh.yaml would have it serve, one JSON object a line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.rewards.base import traits
from rewardmesh.rewards.registry import load
from rewardmesh.router.cli.lines import write
from rewardmesh.router.cli.remote import served
from rewardmesh.services.engine import RewardSpec


def rewards(target: str | None, config: str | None) -> None:
    """Lists the router's rewards with their readiness; without a target those installed here, starting none.

    Raises:
        UnavailableError: The target cannot be reached.
        SettingsError: mesh.yaml is wrong.
    """
    if target:
        rows = [asdict(info) for info in asyncio.run(served(target))]
    else:
        from rewardmesh.router.settings import Settings  # needs the server's packages; a router elsewhere does not

        rows = [_installed(spec) for spec in Settings.load(config).specs()]
    write(json.dumps(row, ensure_ascii=False) for row in rows)


def _installed(spec: RewardSpec) -> dict[str, Any]:
    try:
        found = traits(load(spec.name))
    except RewardMeshError as error:
        return {"name": spec.name, "detail": str(error)}
    return {"name": spec.name, "version": found.version, "digest": spec.digest(found.version), "tasks": found.tasks}
