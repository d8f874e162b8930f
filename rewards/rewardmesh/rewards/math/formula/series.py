r"""Sums and products over an index: "\sum_{k=1}^{5} k^2"."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

from rewardmesh.rewards.math.formula.value import UnreadableError, Value, constant, product, raised, total

__all__ = ["series"]

# Of all the sums in a formula.
_MAX_TERMS = 256


class Reader(Protocol):
    """What is used of the reader of a scalar that is just behind the command."""

    kind: str
    text: str
    given: Mapping[str, Value]
    symbols: set[str]
    terms: int

    def expression(self) -> Value: ...
    def term(self) -> Value: ...
    def exponent(self) -> Value: ...
    def expect(self, text: str) -> None: ...
    def advance(self) -> None: ...
    def place(self) -> tuple[int, str, str]: ...
    def go_back(self, place: tuple[int, str, str]) -> None: ...


def series(reader: Reader, of_products: bool) -> Value:
    """A sum over an index, or a product: few terms one by one, and as many equal ones as the bounds say.

    Raises:
        UnreadableError: Terms that differ are too many, or of an unknown number.
    """
    index, first, last = _bounds(reader)
    given, symbols, begin = reader.given, set(reader.symbols), reader.place()
    if index in given:
        raise UnreadableError("an index in use")
    body = reader.term()
    if index not in reader.symbols:
        count = total([last, product([constant(Fraction(-1)), first]), constant(Fraction(1))])
        if count.exact is not None and count.exact < 1:
            raise UnreadableError("no terms")
        return raised(body, count) if of_products else product([count, body])
    if index in symbols:
        raise UnreadableError("an index that is a variable too")
    reader.symbols.discard(index)
    terms: list[Value] = []
    for number in _numbers(first, last):
        reader.go_back(begin)
        reader.given = {**given, index: constant(Fraction(number))}
        terms.append(reader.term())
        reader.terms += 1
        if reader.terms > _MAX_TERMS:
            raise UnreadableError("too many terms")
    reader.given = given
    return product(terms) if of_products else total(terms)


def _bounds(reader: Reader) -> tuple[str, Value, Value]:
    reader.expect("_")
    reader.expect("{")
    if reader.kind != "name":
        raise UnreadableError("an index that is no name")
    index = reader.text
    reader.advance()
    reader.expect("=")
    first = reader.expression()
    reader.expect("}")
    reader.expect("^")
    return index, first, reader.exponent()


def _numbers(first: Value, last: Value) -> range:
    if first.exact is None or last.exact is None or first.exact.denominator != 1 or last.exact.denominator != 1:
        raise UnreadableError("bounds that are no whole numbers")
    numbers = range(int(first.exact), int(last.exact) + 1)
    if not 1 <= len(numbers) <= _MAX_TERMS:
        raise UnreadableError("no terms, or too many")
    return numbers
