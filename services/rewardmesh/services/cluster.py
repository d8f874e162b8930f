"""Starts or joins the Ray cluster the rewards run on, with its ports shut to strangers."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading

import ray
from ray import serve

# Batches travel by value; the object store is all but unused.
OBJECT_STORE_BYTES = 128 << 20


def join() -> None:
    """Joins the cluster at RAY_ADDRESS, or starts a local one.

    A cluster that is joined brings its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH; one that is started here gets a
    fresh one, unless the environment has one.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray.init(
            _node_ip_address="127.0.0.1",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


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
    # Serve's own proxies bind every interface; the router is the only door.
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING", "enable_access_log": False})


def leave() -> None:
    """Leaves the cluster. One started here ends with it; on one that was joined the rewards stay for others."""
    ray.shutdown()
