"""`rewardmesh up`: a router in the foreground."""

from __future__ import annotations

import asyncio

from rewardmesh.router.logs import log_as_json
from rewardmesh.router.settings import Settings
from rewardmesh.router.up import serve


def up(config: str | None, engine: str | None) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Raises:
        SettingsError: mesh.yaml or an override is wrong.
        OSError: mesh.yaml cannot be read, or an address cannot be listened on.
    """
    settings = Settings.load(config)
    log_as_json()
    asyncio.run(serve(settings.with_engine(engine) if engine else settings))
