"""One step over several processes: a sharded model, groups in turn, checkpoints in pieces."""
