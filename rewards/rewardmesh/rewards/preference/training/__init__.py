"""Trains reward models on pairs, and calibrates them."""
