"""Boxes around what the prompt asks for."""
