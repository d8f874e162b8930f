"""Functions of one argument, with as much of their laws as makes equal ones equal elements of the field."""

from __future__ import annotations

from fractions import Fraction

from rewardmesh.rewards.math.formula import field
from rewardmesh.rewards.math.formula.value import Value, constant, function, product, raised

__all__ = ["elementary", "logarithm"]


def elementary(name: str, argument: Value) -> Value:
    """The sine, logarithm, ... of a value. Raises UnreadableError where it is undefined."""
    match name:
        case "sin":
            return function("sin", argument, tuple(_sine(element) for element in argument.elements))
        case "cos":
            return function("cos", argument, tuple(_cosine(element) for element in argument.elements))
        case "tan":
            return _quotient(elementary("sin", argument), elementary("cos", argument))
        case "cot":
            return _quotient(elementary("cos", argument), elementary("sin", argument))
        case "sec":
            return raised(elementary("cos", argument), constant(Fraction(-1)))
        case "csc":
            return raised(elementary("sin", argument), constant(Fraction(-1)))
        case "log":
            return logarithm(argument)
        case _:
            return function(name, argument)


def logarithm(argument: Value) -> Value:
    """The natural logarithm. That of a rational is the sum of those of its primes."""
    element = field.logarithm(argument.exact) if argument.exact is not None and argument.exact > 0 else None
    return function("log", argument, None if element is None else (element,))


def _quotient(above: Value, below: Value) -> Value:
    return product([above, raised(below, constant(Fraction(-1)))])


def _cosine(argument: field.Element) -> field.Element:
    """(z + 1/z)/2, where z stands for e to the i times the argument: even."""
    return field.multiply(field.HALF, field.add(*_exponentials(argument)))


def _sine(argument: field.Element) -> field.Element:
    """(z - 1/z)/2i: odd. Its square and that of `_cosine` make 1."""
    z, below = _exponentials(argument)
    return field.multiply(field.HALF, field.multiply((0, field.P - 1), field.add(z, field.negative(below))))


def _exponentials(argument: field.Element) -> tuple[field.Element, field.Element]:
    """The element that stands for e to the i times the argument, and the inverse: that of the opposite argument."""
    opposite = field.negative(argument)
    if argument == opposite:
        return field.ONE, field.ONE
    z = field.opaque("exponential", min(argument, opposite))
    below = field.inverse(z) or field.ONE
    return (z, below) if argument < opposite else (below, z)
