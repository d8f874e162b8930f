"""What can be tested without a cluster; `python -m tests.bench.ray_train` trains on one."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from rewardmesh.trainer_client.distributed.ray_train import ray_trainer


def test_no_cluster_is_started_behind_ones_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray's own would be without a token, on every interface."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(RuntimeError, match="RAY_AUTH_MODE=token"):
        ray_trainer(lambda ranks: None, 2, tmp_path, gpus=False)


def test_the_group_is_as_large_as_asked_and_is_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    trainer = ray_trainer(lambda ranks: None, 3, tmp_path, gpus=False, failures=2)
    assert trainer.scaling_config.num_workers == 3
    assert not trainer.scaling_config.use_gpu
    assert trainer.run_config.failure_config.max_failures == 2
    assert trainer.run_config.storage_path == str(tmp_path)
