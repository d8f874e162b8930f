"""A run of everything on two cores: a tiny model, procedurally drawn tasks, and a mesh to reward them."""
