"""Neural models that a reward and a trainer both need."""
