"""Where a run's numbers and rollouts go: JSONL, parquet, TensorBoard, a progress bar, wandb."""
