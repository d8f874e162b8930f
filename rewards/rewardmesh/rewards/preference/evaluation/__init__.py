"""Measures reward models on files of preferences."""
