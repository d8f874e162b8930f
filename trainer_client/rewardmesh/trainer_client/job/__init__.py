"""A training run from a file: its settings, its prompts, and what it leaves behind."""
