r"""Reads a scalar formula straight to its value: "\frac{\sqrt{3}}{2}x+1".

A recursive descent over canonical text that reads what answers are made of, as latex2sympy does, in microseconds, and
raises UnreadableError for everything else: what is ambiguous ("1/2x", "f(x)") or rare is left to latex2sympy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

from rewardmesh.rewards.math.formula import names
from rewardmesh.rewards.math.formula.counted import binomial, factorial
from rewardmesh.rewards.math.formula.elementary import elementary, logarithm
from rewardmesh.rewards.math.formula.series import series
from rewardmesh.rewards.math.formula.tokens import Tokens
from rewardmesh.rewards.math.formula.value import (
    UnreadableError,
    Value,
    constant,
    function,
    product,
    raised,
    rooted,
    special,
    symbol,
    total,
)

__all__ = ["UnreadableError", "read_scalar"]

_MAX_DEPTH = 30
_PI, _E = special("pi", math.pi), special("e", math.e)


def read_scalar(text: str, given: Mapping[str, Value] | None = None, seen: set[str] | None = None) -> Value:
    """The value of a canonical text.

    Args:
        text: A scalar formula.
        given: Values to use for some of its symbols.
        seen: Told of its symbols.

    Raises:
        UnreadableError: It is none that is read here.
    """
    if names.AVOIDED.search(names.SAFE.sub(" ", text)):
        raise UnreadableError("words")
    reader = _Reader(text, given or {})
    value = reader.expression()
    if reader.kind:
        raise UnreadableError(f"unexpected {reader.text!r}")
    if seen is not None:
        seen |= reader.symbols
    return value


class _Reader(Tokens):
    """The grammar.

    Attributes:
        given: Values to use for some symbols.
        symbols: The names of variables so far.
        terms: Those of sums so far.
    """

    def __init__(self, text: str, given: Mapping[str, Value]) -> None:
        super().__init__(text)
        self._depth = 0
        self._bars = 0
        self.terms = 0
        self.given = given
        self.symbols = set[str]()

    def expression(self) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UnreadableError("nested too deeply")
        parts = [self.term(self._sign())]
        while self.text in ("+", "-"):
            parts.append(self.term(self._sign()))
        self._depth -= 1
        return parts[0] if len(parts) == 1 else total(parts)

    def _sign(self) -> bool:
        """Whether the next term is negative."""
        negative = self.text == "-"
        if self.text in ("+", "-"):
            self.advance()
        return negative

    def term(self, negative: bool = False) -> Value:
        parts = [constant(Fraction(-1))] if negative else []
        parts += self._juxtaposed()
        while True:
            if self.text in names.TIMES:
                self.advance()
                parts.append(self._signed())
                parts += self._juxtaposed() if self._begins_factor() else []
            elif self.text in names.DIVIDED:
                self.advance()
                # one factor: what stands beside it ("1/2x") is left over, and so the text is not read
                parts.append(raised(self._factor(), constant(Fraction(-1))))
            else:
                return parts[0] if len(parts) == 1 else product(parts)

    def _signed(self) -> Value:
        if self.text == "-":
            self.advance()
            return product([constant(Fraction(-1)), self._factor()])
        return self._factor()

    def _juxtaposed(self) -> list[Value]:
        """Factors with nothing between them."""
        parts: list[Value] = []
        while True:
            kind, text = self.kind, self.text
            factor = self._factor()
            if kind == "number" and text.isdigit() and self.text == r"\frac":
                factor = self._mixed(factor)
            parts.append(factor)
            if not self._begins_factor():
                return parts
            if self.kind == "number":
                raise UnreadableError("a number behind another factor")
            if self.text == "(" and self._holds_one():
                raise UnreadableError("a function, or a product")

    def _mixed(self, whole: Value) -> Value:
        """A whole number and what follows it, which is added where it is a fraction of digits: 1 1/2."""
        begin = self.end
        fraction = self._factor()
        written = self.source[begin : self.end]
        if re.match(r"\{\d+\}\{\d+\}", written):
            return total([whole, fraction])
        if fraction.exact is not None:
            raise UnreadableError("a mixed number of an unusual kind")
        return product([whole, fraction])

    def _begins_factor(self) -> bool:
        if self.kind in ("number", "name"):
            return True
        if self.kind == "command":
            return self.text not in names.BETWEEN
        return self.text in ("(", "[") or (self.text == "|" and not self._bars)

    def _goes_on(self) -> bool:
        """Whether what follows may belong to what was read last."""
        return self._begins_factor() or self.text in names.SUFFIXES

    def _holds_one(self) -> bool:
        """Whether the parenthesis ahead holds a single name or number."""
        return bool(re.match(r" *(?:[A-Za-z]|\\[A-Za-z]+|[\d.]+)\w{0,3} *\)", self.source[self.end :]))

    def _factor(self) -> Value:
        value = self._atom()
        while self.text in ("^", "!"):
            mark = self.text
            self.advance()
            value = raised(value, self.exponent()) if mark == "^" else factorial(value)
        return value

    def exponent(self) -> Value:
        if self.text == "{":
            return self._braced()
        if self.kind not in ("number", "name") and self.text not in names.GREEK and self.text != r"\pi":
            raise UnreadableError("an exponent without braces")
        value = self._atom()
        if self.text == "^":
            raise UnreadableError("a tower of exponents")
        return value

    def _atom(self) -> Value:
        kind, text = self.kind, self.text
        if kind == "number":
            self.advance()
            return constant(Fraction(text), rounded="." in text)
        if kind == "name" or text in names.GREEK:
            return self._name(text)
        if text in ("(", "["):
            self.advance()
            value = self.expression()
            self.expect(")" if text == "(" else "]")
            return value
        if text == "|":
            return self._magnitude()
        if kind != "command":
            raise UnreadableError(f"unexpected {text or 'end'!r}")
        return self._command(text)

    def _name(self, text: str) -> Value:
        if text in names.RESERVED or self.source[self.end : self.end + 1] in ("'", "_"):
            raise UnreadableError(f"the name {text}")
        self.advance()
        if text in self.given or text == "e":
            return self.given.get(text, _E)
        self.symbols.add(text)
        return symbol(text)

    def _magnitude(self) -> Value:
        if self._bars:
            raise UnreadableError("bars in bars")
        self._bars += 1
        self.advance()
        value = self.expression()
        self.expect("|")
        self._bars -= 1
        return constant(abs(value.exact), value.rounded) if value.exact is not None else function("Abs", value)

    def _command(self, text: str) -> Value:
        self.advance()
        if text == r"\pi":
            return _PI
        if text == r"\frac":
            above = self._braced()
            return product([above, raised(self._braced(), constant(Fraction(-1)))])
        if text == r"\sqrt":
            return self._root()
        if text == r"\binom":
            return binomial(self._braced(), self._braced())
        if text in names.FUNCTIONS or text == r"\log":
            return self._function(text)
        if text in names.SERIES:
            return series(self, of_products=text == r"\prod")
        raise UnreadableError(f"the command {text}")

    def _root(self) -> Value:
        degree = 2
        if self.text == "[":
            self.advance()
            if self.kind != "number" or not self.text.isdigit() or int(self.text) < 2:
                raise UnreadableError("a root of a degree that is no number")
            degree = int(self.text)
            self.advance()
            self.expect("]")
        base = self._braced() if self.text == "{" else self._single()
        return rooted(base, degree)

    def _single(self) -> Value:
        """The one character that a command without braces takes."""
        if (self.kind == "number" and len(self.text) == 1) or self.kind == "name":
            return self._atom()
        raise UnreadableError("an argument without braces")

    def _function(self, text: str) -> Value:
        base = self._subscript() if text == r"\log" and self.text == "_" else constant(Fraction(10))
        power = None
        if self.text == "^":
            self.advance()
            power = self.exponent()
            if power.exact is None or power.exact < 1:
                raise UnreadableError("an inverse function, or one to an unusual power")
        argument = self._argument()
        if text == r"\log":
            value = product([logarithm(argument), raised(logarithm(base), constant(Fraction(-1)))])
        else:
            value = elementary(names.FUNCTIONS[text], argument)
        return value if power is None else raised(value, power)

    def _subscript(self) -> Value:
        """The base of a logarithm: braces, or one character."""
        character = self.source[self.end : self.end + 1]
        if character == "{":
            self.advance()
            return self._braced()
        if not (character.isascii() and character.isalnum()):
            raise UnreadableError("a base without braces")
        self.end += 1
        self.advance()
        return constant(Fraction(character)) if character.isdigit() else symbol(character)

    def _argument(self) -> Value:
        """What a function is taken of: a parenthesis, a fraction, or a run of numbers and names up to an operator."""
        if self.text in ("(", r"\frac"):
            value = self._atom()
            clear = not self._goes_on()
        else:
            parts: list[Value] = []
            while not (parts and self.kind == "number") and (
                self.kind in ("number", "name") or self.text in names.GREEK or self.text == r"\pi"
            ):
                parts.append(self._atom())
            clear = bool(parts) and self.kind != "number" and self.text not in names.UNCLEAR
            value = product(parts)
        if not clear:
            raise UnreadableError("what belongs to the argument of a function?")
        return value

    def _braced(self) -> Value:
        if self.text != "{":
            raise UnreadableError("an argument without braces")
        self.advance()
        bars, self._bars = self._bars, 0
        value = self.expression()
        self._bars = bars
        self.expect("}")
        return value
