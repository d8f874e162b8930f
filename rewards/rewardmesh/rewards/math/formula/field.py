r"""Exact arithmetic where numbers have a fixed size: the field F_p[i] for one large prime p.

Two formulas that agree in it, with random values for their symbols, are equal but for a chance of their degree over p
(Schwartz, J. ACM 27, 1980): that is how `value` proves equality without simplifying. Roots of rationals are mapped
prime by prime, so that sqrt(2) times sqrt(3) is sqrt(6) here as well; what has no place in a field (the sine of
something, pi) is given a random value that depends on nothing but itself.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b

__all__ = [
    "HALF",
    "ONE",
    "Element",
    "P",
    "add",
    "inverse",
    "logarithm",
    "multiply",
    "negative",
    "of",
    "opaque",
    "power",
    "root",
]

# 2^61 - 45: the largest prime below 2^61 that is 3 modulo 4, so that i is no element of F_p and every element or its
# negative has a square root, and 2 modulo 3 and not 1 modulo 5 or 7, so that third, fifth and seventh roots are unique.
P = (1 << 61) - 45
# Rationals whose numerator times denominator has larger prime factors have no root here: a sympy call decides.
_MAX_FACTOR = 2000

Element = tuple[int, int]
"""Real and imaginary part."""

ONE: Element = (1, 0)
HALF: Element = ((P + 1) // 2, 0)


def of(number: Fraction) -> Element | None:
    """The element of a rational; None for the one in 10^18 whose denominator p divides."""
    if number.denominator == 1:
        return number.numerator % P, 0
    if number.denominator % P == 0:
        return None
    return number.numerator * pow(number.denominator, -1, P) % P, 0


def add(a: Element, b: Element) -> Element:
    """Their sum."""
    return (a[0] + b[0]) % P, (a[1] + b[1]) % P


def negative(a: Element) -> Element:
    """Its negative."""
    return -a[0] % P, -a[1] % P


def multiply(a: Element, b: Element) -> Element:
    """Their product."""
    if not (a[1] or b[1]):
        return a[0] * b[0] % P, 0
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def inverse(a: Element) -> Element | None:
    """One over it; None for zero."""
    norm = (a[0] * a[0] + a[1] * a[1]) % P
    if not norm:
        return None
    scale = pow(norm, -1, P)
    return a[0] * scale % P, -a[1] * scale % P


def power(a: Element, exponent: int) -> Element | None:
    """An integer power; None for a negative one of zero."""
    if exponent < 0:
        below = inverse(a)
        return None if below is None else power(below, -exponent)
    if not a[1]:
        return pow(a[0], exponent, P), 0
    result = ONE
    while exponent:
        if exponent & 1:
            result = multiply(result, a)
        a = multiply(a, a)
        exponent >>= 1
    return result


def root(number: Fraction, degree: int) -> Element | None:
    """The positive root of a positive rational, or i times it for a negative one's square root; None for all others."""
    if degree == 2 and number < 0:
        positive = root(-number, 2)
        return None if positive is None else multiply(positive, (0, 1))
    whole = number.numerator * number.denominator ** (degree - 1)
    factors = _factors(whole) if number > 0 and (degree == 2 or math.gcd(degree, P - 1) == 1) else None
    below = of(Fraction(1, number.denominator))
    if factors is None or below is None:
        return None
    result = below
    for prime, exponent in factors:
        times, rest = divmod(exponent, degree)
        result = multiply(result, (pow(prime, times, P), 0))
        for _ in range(rest):
            result = multiply(result, _prime_root(prime, degree))
    return result


def logarithm(number: Fraction) -> Element | None:
    """The logarithm of a positive rational, as the sum of its primes'; None where they are not found."""
    above, below = _factors(number.numerator), _factors(number.denominator)
    if above is None or below is None:
        return None
    signed = [*above, *((prime, -exponent) for prime, exponent in below)]
    return sum(exponent * opaque("logarithm", prime)[0] for prime, exponent in signed) % P, 0


@lru_cache(maxsize=4096)
def opaque(name: str, *arguments: object) -> Element:
    """A random element for something that is determined by its name and its arguments."""
    digest = blake2b(repr((name, arguments)).encode(errors="surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest) % P, 0


@lru_cache(maxsize=4096)
def _prime_root(prime: int, degree: int) -> Element:
    if degree == 2:
        found = pow(prime, (P + 1) // 4, P)
        return (found, 0) if found * found % P == prime else (0, found)
    return pow(prime, pow(degree, -1, P - 1), P), 0


@lru_cache(maxsize=4096)
def _factors(number: int) -> tuple[tuple[int, int], ...] | None:
    """Primes and their exponents; None if a factor is left that might be composite."""
    found: list[tuple[int, int]] = []
    for candidate in range(2, _MAX_FACTOR):
        if candidate * candidate > number:
            break
        exponent = 0
        while number % candidate == 0:
            number //= candidate
            exponent += 1
        if exponent:
            found.append((candidate, exponent))
    if number > _MAX_FACTOR**2:
        return None
    return (*found, (number, 1)) if number > 1 else tuple(found)
