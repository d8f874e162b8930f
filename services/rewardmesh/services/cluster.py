"""Starts or joins the Ray cluster the rewards run on, with its ports shut to strangers."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading

import ray
from ray import serve
from ray._raylet import Config  # pyright: ignore[reportAttributeAccessIssue] - compiled
from ray.exceptions import ActorAlreadyExistsError

# Batches travel by value; the object store is all but unused.
OBJECT_STORE_BYTES = 128 << 20
# Set while a cluster runs that was started here: Ray itself does not remember.
_own = threading.Event()


def join() -> bool:
    """Joins the cluster at RAY_ADDRESS, or starts a local one; False when this process is on a cluster already.

    A cluster that is joined brings its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH; one that is started here gets a
    fresh one, unless the environment has one, and demands it whatever RAY_AUTH_MODE says.
    """
    if ray.is_initialized():
        return False
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        _demand_token()
        ray.init(
            _node_ip_address="127.0.0.1",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        _own.set()
    return True


def is_shared() -> bool:
    """Whether the cluster was not started by this process, stays when it leaves, and may have other nodes."""
    return not _own.is_set()


def _demand_token() -> None:
    """Has Ray refuse whoever does not know the token. Its ports listen on every interface and unpickle what comes."""
    os.environ["RAY_AUTH_MODE"] = "token"
    Config.initialize("")  # Ray read the environment when it was imported, which may have been before
    if not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def take_back_sigterm() -> None:
    """Undoes what Ray does to this process as it joins: on SIGTERM it would print a stack dump before anything else.

    Ray sets its handler behind Python's back, so Python still knows the one before. Only the main thread can put that
    back.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
        signal.siginterrupt(signal.SIGTERM, False)  # as asyncio has it


def start_serve() -> None:
    """Starts Ray Serve on the cluster, or joins it there."""
    try:
        _start_serve()
    except ActorAlreadyExistsError:  # another router started it in between; now there is one to join
        _start_serve()


def _start_serve() -> None:
    # Serve's own proxies bind every interface; the router is the only door.
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING", "enable_access_log": False})


def leave() -> None:
    """Leaves the cluster. One started here ends with it; on one that was joined the rewards stay for others."""
    ray.shutdown()
    _own.clear()
