"""Formulas, read and compared in microseconds without sympy, wherever the verdict is certain."""
