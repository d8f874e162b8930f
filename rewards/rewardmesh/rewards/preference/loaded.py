"""Reward models of this process by their options: rewards with other options for some sources share them."""

from __future__ import annotations

import weakref
from pathlib import Path

from rewardmesh.contract import UnavailableError
from rewardmesh.rewards.preference.judged import Judge
from rewardmesh.rewards.preference.options import DEFAULT, ModelOptions

OPTIONS = "rewards.preference.options"
_loaded: weakref.WeakValueDictionary[ModelOptions, Judge] = weakref.WeakValueDictionary()


def loaded(name: str, options: ModelOptions) -> Judge:
    """The model of these options, loaded if it is not there.

    Raises:
        UnavailableError: It cannot be loaded.
    """
    judge = _loaded.get(options)
    if judge is None:
        judge = _load(name, options)
        _loaded[options] = judge
    return judge


def _load(name: str, options: ModelOptions) -> Judge:
    folder = Path(options.checkpoint)
    option = "checkpoint" if name == DEFAULT else f"models.{name}.checkpoint"
    if not folder.is_dir():
        raise UnavailableError(
            f"{OPTIONS}.{option} must be a checkpoint folder, but {options.checkpoint!r} is not a folder"
        )
    try:
        # torch is slow to import, and a model behind a url needs none of it
        if options.url:
            from rewardmesh.rewards.preference.remote_model import RemoteModel

            return RemoteModel(options)
        from rewardmesh.rewards.preference.hot_swap import HotSwap
        from rewardmesh.rewards.preference.local_model import LocalModel

        return HotSwap(folder, lambda: LocalModel(options))
    except Exception as error:  # whatever a missing library or a damaged file raises, nothing can be scored
        raise UnavailableError(
            f"{OPTIONS}.{option}: {options.checkpoint!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
