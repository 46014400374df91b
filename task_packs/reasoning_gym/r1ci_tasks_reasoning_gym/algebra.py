"""Two types that ``evaluate`` can work in: ``Polynomial`` (exact algebra) and ``Dual`` (numeric derivatives).

The size of intermediate results is bounded, so that ``(x+1)**9**9`` is an error and not a hang.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from r1ci_plugins.tasks.expressions import evaluate

_MAX_TERMS = 1000
_MAX_DEGREE = 200
_MAX_BITS = 20_000


Monomial = tuple[tuple[str, int], ...]
"""Variables with their exponents, sorted by name, no exponent 0."""


@dataclass(frozen=True)
class Polynomial:
    """A polynomial with rational coefficients, exact; no coefficient is 0, so equal polynomials are equal objects."""

    terms: Mapping[Monomial, Fraction]

    @classmethod
    def constant(cls, value: str | int | Fraction) -> Polynomial:
        return cls._of({(): Fraction(value)})

    @classmethod
    def variable(cls, name: str) -> Polynomial:
        return cls({((name, 1),): Fraction(1)})

    @classmethod
    def _of(cls, terms: dict[Monomial, Fraction]) -> Polynomial:
        kept = {monomial: c for monomial, c in terms.items() if c}
        if len(kept) > _MAX_TERMS or any(_bits(c) > _MAX_BITS for c in kept.values()):
            raise ValueError("the polynomial is too large")
        return cls(kept)

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            terms[monomial] = terms.get(monomial, Fraction(0)) + coefficient
        return self._of(terms)

    def __neg__(self) -> Polynomial:
        return Polynomial({monomial: -c for monomial, c in self.terms.items()})

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def __mul__(self, other: Polynomial) -> Polynomial:
        if len(self.terms) * len(other.terms) > 20 * _MAX_TERMS:
            raise ValueError("the polynomial is too large")
        terms: dict[Monomial, Fraction] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                exponents = dict(left)
                for name, exponent in right:
                    exponents[name] = exponents.get(name, 0) + exponent
                if any(exponent > _MAX_DEGREE for exponent in exponents.values()):
                    raise ValueError("the degree is too large")
                monomial = tuple(sorted(exponents.items()))
                terms[monomial] = terms.get(monomial, Fraction(0)) + a * b
        return self._of(terms)

    def __truediv__(self, other: Polynomial) -> Polynomial:
        return self * Polynomial.constant(1 / other._constant())

    def __pow__(self, other: Polynomial) -> Polynomial:
        exponent = other._constant()
        if exponent.denominator != 1 or not 0 <= exponent <= _MAX_DEGREE:
            raise ValueError("an exponent is a small whole number")
        value = Polynomial.constant(1)
        for _ in range(int(exponent)):
            value = value * self
        return value

    def _constant(self) -> Fraction:
        if any(self.terms.keys() - {()}):
            raise ValueError("not a constant")
        return self.terms.get((), Fraction(0))

    def derivative(self, name: str) -> Polynomial:
        """The partial derivative by one variable."""
        terms: dict[Monomial, Fraction] = {}
        for monomial, coefficient in self.terms.items():
            exponents = dict(monomial)
            exponent = exponents.pop(name, 0)
            if exponent > 1:
                exponents[name] = exponent - 1
            if exponent:
                terms[tuple(sorted(exponents.items()))] = coefficient * exponent
        return Polynomial(terms)


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


@dataclass(frozen=True)
class Dual:
    """A complex value with its derivative (forward-mode differentiation), in floating point."""

    value: complex
    slope: complex = 0.0

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Dual) -> Dual:
        return Dual(self.value - other.value, self.slope - other.slope)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def __truediv__(self, other: Dual) -> Dual:
        quotient = self.value / other.value
        return Dual(quotient, (self.slope - quotient * other.slope) / other.value)

    def __pow__(self, other: Dual) -> Dual:
        if other.slope == 0:
            # x**n has a slope at x == 0 too, where the logarithm below fails.
            rate = other.value * self.value ** (other.value - 1) if other.value else 0.0
            return Dual(self.value**other.value, rate * self.slope)
        value, log = self.value**other.value, cmath.log(self.value)
        return Dual(value, value * (other.slope * log + other.value * self.slope / self.value))


def _lifted(function: Callable[[complex], complex], slope: Callable[[complex], complex]) -> Callable[[Dual], Dual]:
    return lambda x: Dual(function(x.value), slope(x.value) * x.slope)


DUAL_FUNCTIONS: dict[str, Callable[[Dual], Dual]] = {
    "sin": _lifted(cmath.sin, cmath.cos),
    "cos": _lifted(cmath.cos, lambda z: -cmath.sin(z)),
    "tan": _lifted(cmath.tan, lambda z: 1 / cmath.cos(z) ** 2),
    "sinh": _lifted(cmath.sinh, cmath.cosh),
    "cosh": _lifted(cmath.cosh, cmath.sinh),
    "exp": _lifted(cmath.exp, cmath.exp),
    "log": _lifted(cmath.log, lambda z: 1 / z),
    "sqrt": _lifted(cmath.sqrt, lambda z: 0.5 / cmath.sqrt(z)),
    "asin": _lifted(cmath.asin, lambda z: 1 / cmath.sqrt(1 - z * z)),
    "acos": _lifted(cmath.acos, lambda z: -1 / cmath.sqrt(1 - z * z)),
    "atan": _lifted(cmath.atan, lambda z: 1 / (1 + z * z)),
    "abs": _lifted(lambda z: complex(abs(z)), lambda z: complex(math.copysign(1.0, z.real))),
}
DUAL_FUNCTIONS |= {
    alias: DUAL_FUNCTIONS[name]
    for alias, name in {"ln": "log", "Abs": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan"}.items()
}

_POINTS = (
    *(0.05, -0.06, 0.11, -0.13, 0.23, -0.29, 0.31, 0.47, -0.59, 0.83, -0.97, 1.31, -1.73, 2.1, -2.9),
    *(3.7, -4.3, 5.3, -6.1, 7.9, -8.7, 10.1, -10.3, 11.3, -12.7, 14.9, -17.3),
)


def is_antiderivative(answer: str, integrand: str, variable: str) -> bool:
    """Whether the derivative of ``answer`` equals ``integrand`` wherever both are real, at fixed sample points.

    ``C`` and ``c`` are constants.

    Raises:
        ValueError: If either text is not an expression of known functions.
    """
    agreed = 0
    for x in _POINTS:
        symbols = {"C": Dual(0.7390851), "c": Dual(0.7390851), "pi": Dual(math.pi), "E": Dual(math.e)}
        symbols |= {"e": Dual(math.e), variable: Dual(complex(x), 1.0)}
        try:
            wanted = evaluate(integrand, _dual, symbols, DUAL_FUNCTIONS).value
            found = evaluate(answer, _dual, symbols, DUAL_FUNCTIONS).slope
        except ArithmeticError:
            continue  # a pole, a zero of a denominator, or out of floating range here
        if not (cmath.isfinite(wanted) and cmath.isfinite(found)):
            continue
        margin = 1e-7 * (1 + abs(wanted))
        if abs(complex(wanted).imag) > margin or abs(complex(found).imag) > margin:
            continue  # outside the real domain of one of them, where branches may differ
        if abs(found - wanted) > margin:
            return False
        agreed += 1
    return agreed >= 3


def _dual(text: str) -> Dual:
    return Dual(complex(float(text)))
