"""Training: from prompts to one on-policy step, and everything around it."""
