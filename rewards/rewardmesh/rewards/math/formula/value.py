"""What a scalar formula is worth: an exact rational, or estimates and field elements at a few points.

Estimates that lie apart prove that two formulas differ (`bounds`), field elements that agree prove that they are equal
(`field`). Neither needs an expression tree, and both take microseconds where sympy takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from rewardmesh.rewards.math.formula import bounds, field
from rewardmesh.rewards.math.formula.bounds import Estimate

__all__ = [
    "UnreadableError",
    "Value",
    "constant",
    "function",
    "nonzero",
    "product",
    "proportional",
    "raised",
    "rooted",
    "same",
    "special",
    "symbol",
    "total",
]

# Values of a symbol are drawn from here by its name: positive, so that laws of roots and logarithms hold.
_LEAST, _SPAN = 0.5, 2.5
_POINTS = 3
_FIELD_POINTS = 2
# The bits that an exact number may have: some 600 digits, more than an answer holds.
_MAX_BITS = 2048
_MAX_EXPONENT = 1000
# Numbers as close as this, relative to their size, may be the same number; what is further apart is not.
_CLOSE = 1e-9


class UnreadableError(ValueError):
    """A formula is none that is read here; sympy may still know it."""


class Value:
    """A scalar.

    Attributes:
        exact: Its exact value where it is rational and no symbol is in it, else None.
        constant: Whether no symbol is in it.
        rounded: Whether a decimal is in it, which stands for what lies near it too.
        hidden: Whether a part of it has a random field element, so that different elements prove nothing.
    """

    __slots__ = ("_elements", "_estimates", "constant", "exact", "hidden", "rounded")

    def __init__(
        self,
        estimates: tuple[Estimate | None, ...],
        elements: tuple[field.Element, ...],
        exact: Fraction | None = None,
        constant: bool = True,
        rounded: bool = False,
        hidden: bool = False,
    ) -> None:
        self._estimates = estimates
        self._elements = elements
        self.exact = exact
        self.constant = constant
        self.rounded = rounded
        self.hidden = hidden

    @property
    def estimates(self) -> tuple[Estimate | None, ...]:
        """One for a constant, else one per point; None where there is no certain value."""
        if not self._estimates and self.exact is not None:
            try:
                self._estimates = (bounds.exactly(complex(self.exact)),)
            except OverflowError:
                self._estimates = (None,)
        return self._estimates

    @property
    def elements(self) -> tuple[field.Element, ...]:
        """One for a constant, else one per point."""
        if not self._elements and self.exact is not None:
            self._elements = (_element(field.of(self.exact)),)
        return self._elements


def constant(exact: Fraction, rounded: bool = False) -> Value:
    """A rational number. Raises UnreadableError where it has too many digits."""
    if max(exact.numerator.bit_length(), exact.denominator.bit_length()) > _MAX_BITS:
        raise UnreadableError("a number has too many digits")
    return Value((), (), exact, rounded=rounded)


def special(name: str, number: float) -> Value:
    """A transcendental constant, pi or e."""
    return Value((bounds.exactly(number),), (field.opaque("constant", name),))


def symbol(name: str) -> Value:
    """A variable."""
    drawn = [field.opaque("symbol", name, point)[0] for point in range(max(_POINTS, _FIELD_POINTS))]
    numbers = (complex(_LEAST + _SPAN * drawn[point] / field.P) for point in range(_POINTS))
    elements = tuple((drawn[point], 0) for point in range(_FIELD_POINTS))
    return Value(tuple(Estimate(number, 0.0) for number in numbers), elements, constant=False)


def total(parts: Sequence[Value]) -> Value:
    """Their sum."""
    if all(part.exact is not None for part in parts):
        return constant(sum((part.exact or Fraction(0) for part in parts), Fraction(0)), _any_rounded(parts))
    return _combined(parts, bounds.add, field.add)


def product(parts: Sequence[Value]) -> Value:
    """Their product."""
    if all(part.exact is not None for part in parts):
        exact = Fraction(1)
        for part in parts:
            exact *= part.exact or 0
        return constant(exact, _any_rounded(parts))
    return _combined(parts, bounds.multiply, field.multiply)


def raised(base: Value, exponent: Value) -> Value:
    """A power. Raises UnreadableError where it is undefined, or too large to be read here."""
    if exponent.exact is not None and not exponent.rounded:
        whole, degree = exponent.exact.numerator, exponent.exact.denominator
        if abs(whole) > _MAX_EXPONENT:
            raise UnreadableError("an exponent is too large")
        return _whole_power(base if degree == 1 else rooted(base, degree), whole)
    arguments = zip(_spread(base, exponent), _spread(exponent, base), strict=True)
    elements = tuple(field.opaque("power", a, b) for a, b in arguments)
    return _hidden(_each(bounds.power, base, exponent), elements, (base, exponent))


def rooted(base: Value, degree: int) -> Value:
    """A root. Raises UnreadableError for the odd root of a negative number, whose value is a matter of convention."""
    exact = base.exact
    if exact is not None and degree <= 9:
        if exact == 0:
            return base
        if exact < 0 and degree != 2:
            raise UnreadableError("a root of a negative number")
        element = field.root(exact, degree)
        if element is not None:
            estimate = bounds.exactly(complex(abs(exact)))
            power = None if estimate is None else bounds.power(estimate, Estimate(complex(1 / degree), 2.0**-53))
            if power is not None and exact < 0:
                power = Estimate(power.value * 1j, power.error)
            return Value((power,), (element,), rounded=base.rounded)
    if degree > 9:
        raise UnreadableError("a root of a high degree")
    exponent = constant(Fraction(1, degree))
    elements = tuple(field.opaque("root", degree, element) for element in base.elements)
    return _hidden(_each(bounds.power, base, exponent), elements, (base,))


def function(name: str, argument: Value, elements: tuple[field.Element, ...] | None = None) -> Value:
    """One of `bounds.FUNCTIONS` of a value. Its elements, random if not given, depend on the argument's alone."""
    if elements is None:
        elements = tuple(field.opaque("function", name, element) for element in argument.elements)
    return _hidden(_each(lambda x: bounds.apply(name, x), argument), elements, (argument,))


def same(reference: Value, answer: Value, tolerance: float = 0.0) -> bool | None:
    """Whether two scalars are equal; None where that is not certain.

    Args:
        reference: What is compared with.
        answer: What is compared.
        tolerance: How far apart two constants may lie; 0 where the reference is exact.
    """
    if reference.exact is not None and answer.exact is not None:
        if reference.exact == answer.exact:
            return True
        if not (reference.rounded or answer.rounded):
            return False
    compared = False
    for x, y in zip(_spread_estimates(reference, answer), _spread_estimates(answer, reference), strict=True):
        if x is None or y is None:
            continue
        distance, error = abs(x.value - y.value), 4 * (x.error + y.error)
        if distance - tolerance > error + bounds.FLOATS:
            return False
        if answer.constant and distance + error < tolerance:
            return True
        compared = compared or distance <= error + _CLOSE * abs(x.value)
    if _spread(reference, answer) == _spread(answer, reference):
        return True if compared else None
    certain = not (reference.rounded or answer.rounded or reference.hidden or answer.hidden)
    return False if certain else None


def proportional(first: Value, second: Value) -> bool:
    """Whether one is certainly a constant multiple of the other, and neither is zero."""
    pairs = list(zip(_spread(first, second), _spread(second, first), strict=True))
    if len(pairs) < _FIELD_POINTS or any(a == (0, 0) or b == (0, 0) for a, b in pairs):
        return False
    (a, b), (c, d) = pairs
    if field.multiply(a, d) != field.multiply(b, c):
        return False
    ratios: list[complex] = []
    for x, y in zip(_spread_estimates(first, second), _spread_estimates(second, first), strict=True):
        if x is not None and y is not None and abs(y.value) > 1e3 * y.error:
            ratios.append(x.value / y.value)
    return len(ratios) > 1 and all(abs(r - ratios[0]) <= 1e-6 * abs(ratios[0]) for r in ratios)


def nonzero(value: Value) -> bool:
    """Whether it certainly differs from zero at one of the points."""
    return any(x is not None and bounds.apart(x, Estimate(0j, 0.0)) for x in value.estimates)


def _whole_power(base: Value, exponent: int) -> Value:
    if exponent < 0 and same(base, constant(Fraction(0))) is not False:
        raise UnreadableError("a division by what may be zero")
    if base.exact is not None:
        if max(base.exact.numerator.bit_length(), base.exact.denominator.bit_length()) * abs(exponent) > 2 * _MAX_BITS:
            raise UnreadableError("a power has too many digits")
        return constant(base.exact**exponent, base.rounded)
    number = Estimate(complex(exponent), 0.0)
    estimates = _each(lambda x: bounds.power(x, number), base)
    elements = tuple(_element(field.power(element, exponent)) for element in base.elements)
    return Value(estimates, elements, None, base.constant, base.rounded, base.hidden)


def _combined(
    parts: Sequence[Value],
    estimate: Callable[[Sequence[Estimate]], Estimate],
    element: Callable[[field.Element, field.Element], field.Element],
) -> Value:
    is_constant = all(part.constant for part in parts)
    estimates: list[Estimate | None] = []
    for point in range(1 if is_constant else _POINTS):
        at = [part.estimates[0 if part.constant else point] for part in parts]
        known = [x for x in at if x is not None]
        estimates.append(bounds.certain(estimate(known)) if len(known) == len(at) else None)
    elements: list[field.Element] = []
    for point in range(1 if is_constant else _FIELD_POINTS):
        first, *rest = (part.elements[0 if part.constant else point] for part in parts)
        for other in rest:
            first = element(first, other)
        elements.append(first)
    hidden = any(part.hidden for part in parts)
    return Value(tuple(estimates), tuple(elements), None, is_constant, _any_rounded(parts), hidden)


def _hidden(estimates: tuple[Estimate | None, ...], elements: tuple[field.Element, ...], of: Sequence[Value]) -> Value:
    is_constant = all(value.constant for value in of)
    return Value(estimates, elements, None, is_constant, _any_rounded(of), True)


def _each(compute: Callable[..., Estimate | None], *values: Value) -> tuple[Estimate | None, ...]:
    points = 1 if all(value.constant for value in values) else _POINTS
    found: list[Estimate | None] = []
    for point in range(points):
        at = [value.estimates[0 if value.constant else point] for value in values]
        try:
            found.append(None if None in at else bounds.certain(compute(*at)))
        except (ArithmeticError, ValueError):
            found.append(None)
    return tuple(found)


def _spread(value: Value, beside: Value) -> tuple[field.Element, ...]:
    """Its elements, as many as the other needs."""
    return value.elements * _FIELD_POINTS if value.constant and not beside.constant else value.elements


def _spread_estimates(value: Value, beside: Value) -> tuple[Estimate | None, ...]:
    return value.estimates * _POINTS if value.constant and not beside.constant else value.estimates


def _element(found: field.Element | None) -> field.Element:
    if found is None:
        raise UnreadableError("a division by what is zero in the field")
    return found


def _any_rounded(parts: Sequence[Value]) -> bool:
    return any(part.rounded for part in parts)
