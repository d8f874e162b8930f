"""Comparisons of ways to train, as commands: several seeds, curves with bands, a table, and a reading."""
