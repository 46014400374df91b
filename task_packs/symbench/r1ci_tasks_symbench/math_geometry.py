"""SymBench ``math_geometry``: geometry of the MATH data set (``R1CI_MATH``), or problems of our own."""

from __future__ import annotations

import math
import random
from fractions import Fraction

from r1ci_tasks_symbench.math_problem import MathProblems, latex, published

__all__ = ["MathGeometry", "published"]

_TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29))


def _rectangle(rng: random.Random) -> tuple[str, str]:
    width, height = rng.randint(3, 60), rng.randint(3, 60)
    text = (
        f"A rectangle has an area of {width * height} square units and one side of length {width}. What is its "
        f"perimeter?"
    )
    return text, latex(2 * (width + height))


def _hypotenuse(rng: random.Random) -> tuple[str, str]:
    (a, b, c), scale = rng.choice(_TRIPLES), rng.randint(1, 30)
    text = f"The legs of a right triangle have lengths {a * scale} and {b * scale}. How long is its hypotenuse?"
    return text, latex(c * scale)


def _third_angle(rng: random.Random) -> tuple[str, str]:
    a = rng.randint(15, 100)
    b = rng.randint(15, 160 - a)
    text = f"Two angles of a triangle measure {a} and {b} degrees. How many degrees does the third measure?"
    return text, latex(180 - a - b)


def _annulus(rng: random.Random) -> tuple[str, str]:
    inner = rng.randint(1, 25)
    outer = inner + rng.randint(1, 15)
    text = f"Two circles have the same centre and radii {inner} and {outer}. What is the area between them?"
    return text, latex(outer**2 - inner**2, pi=True)


def _polygon(rng: random.Random) -> tuple[str, str]:
    sides = rng.randint(5, 60)
    text = f"How many degrees does each interior angle of a regular polygon with {sides} sides measure?"
    return text, latex(Fraction(180 * (sides - 2), sides))


def _similar(rng: random.Random) -> tuple[str, str]:
    a, b, c = rng.randint(3, 20), rng.randint(3, 20), rng.randint(21, 60)
    text = (
        f"Triangles ABC and DEF are similar, with A, B, C corresponding to D, E, F. If AB = {a}, BC = {b} and DE = "
        f"{c}, what is EF?"
    )
    return text, latex(Fraction(b * c, a))


def _distance(rng: random.Random) -> tuple[str, str]:
    x, y, u, v = (rng.randint(-12, 12) for _ in range(4))
    u += u == x
    text = f"What is the distance between the points ({x}, {y}) and ({u}, {v}) in the plane?"
    return text, latex(1, (x - u) ** 2 + (y - v) ** 2)


def _square_diagonal(rng: random.Random) -> tuple[str, str]:
    area = rng.randint(2, 150)
    text = f"A square has an area of {area} square units. How long is its diagonal?"
    return text, latex(1, 2 * area)


def _lattice_triangle(rng: random.Random) -> tuple[str, str]:
    while True:
        (a, b), (c, d), (e, f) = ((rng.randint(-9, 9), rng.randint(-9, 9)) for _ in range(3))
        if double := abs((c - a) * (f - b) - (e - a) * (d - b)):
            break
    text = f"What is the area of the triangle with the corners ({a}, {b}), ({c}, {d}) and ({e}, {f})?"
    return text, latex(Fraction(double, 2))


def _equilateral(rng: random.Random) -> tuple[str, str]:
    perimeter = 3 * rng.randint(1, 50) + rng.randint(0, 2)
    text = f"An equilateral triangle has a perimeter of {perimeter}. What is its area?"
    return text, latex(Fraction(perimeter**2, 36), 3)


def _cone(rng: random.Random) -> tuple[str, str]:
    radius, height = rng.randint(1, 15), rng.randint(1, 30)
    text = f"A cone has a circular base of radius {radius} and a height of {height}. What is its volume?"
    return text, latex(Fraction(radius**2 * height, 3), pi=True)


def _chord(rng: random.Random) -> tuple[str, str]:
    radius = rng.randint(3, 30)
    away = rng.randint(1, radius - 1)
    text = (
        f"In a circle of radius {radius} a chord lies at a distance of {away} from the centre. How long is the chord?"
    )
    return text, latex(2, radius**2 - away**2)


def _heron(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randint(4, 20), rng.randint(4, 20)
    c = rng.randint(abs(a - b) + 1, a + b - 1)
    squared = (a + b + c) * (b + c - a) * (a + c - b) * (a + b - c)  # 16 times the square of the area
    text = f"A triangle has sides of lengths {a}, {b} and {c}. What is its area?"
    return text, latex(Fraction(1, 4), squared)


def _inscribed_circle(rng: random.Random) -> tuple[str, str]:
    (a, b, _), numerator, denominator = rng.choice(_TRIPLES), rng.randint(1, 12), rng.randint(1, 5)
    scale = Fraction(numerator, denominator)
    legs = " and ".join(f"${latex(leg * scale)}$" for leg in (a, b))
    c = math.isqrt(a * a + b * b)
    text = f"The legs of a right triangle have lengths {legs}. What is the area of its inscribed circle?"
    return text, latex(((a + b - c) * scale / 2) ** 2, pi=True)


def _box_diagonal(rng: random.Random) -> tuple[str, str]:
    a, b, c = (rng.randint(1, 15) for _ in range(3))
    text = (
        f"A rectangular box has edges of lengths {a}, {b} and {c}. A sphere passes through all its corners. What is "
        "the circumference of a great circle of the sphere?"
    )
    return text, latex(1, a * a + b * b + c * c, pi=True)


class MathGeometry(MathProblems):
    """Problems of plane and solid geometry with exact answers.

    Source: SymBench (CodeSteer-v1.0), ``math_geometry``: MATH, geometry.
    """

    name = "math_geometry"
    description = "Geometry problems with exact answers."
    subject = "geometry"
    templates = (
        (_rectangle, _hypotenuse, _third_angle),
        (_annulus, _polygon, _similar),
        (_distance, _square_diagonal, _lattice_triangle),
        (_equilateral, _cone, _chord),
        (_heron, _inscribed_circle, _box_diagonal),
    )
