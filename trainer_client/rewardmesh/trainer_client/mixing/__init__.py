"""Mixing: which prompts of which task come next."""
