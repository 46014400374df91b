"""Our own MATH problems: their answers agree with enumeration, or with another way to the same number."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, permutations, product

import pytest
from r1ci_tasks_symbench import math_counting_and_probability as counting
from r1ci_tasks_symbench import math_geometry as geometry


def value(latex: str) -> float:
    """The number that a problem's answer stands for."""
    python = re.sub(r"\\frac\{(.*)\}\{(\d+)\}", r"(\1)/\2", latex)
    python = re.sub(r"\\sqrt\{(\d+)\}", r"*math.sqrt(\1)", python).replace(r"\pi", "*math.pi")
    return eval(re.sub(r"(^|\(|-)\*", r"\1", python), {"math": math})


def sampled(template: Callable, count: int = 40) -> list[tuple[str, list[int], float]]:
    problems = [template(random.Random(seed)) for seed in range(count)]
    return [(text, [int(n) for n in re.findall(r"-?\d+", text)], value(answer)) for text, answer in problems]


def probability(outcomes: list, event: Callable) -> float:
    return Fraction(sum(map(event, outcomes)), len(outcomes))


# --- counting, by counting ----------------------------------------------------------------------------------------


def letters(text: str, numbers: list[int]) -> int | None:
    word = re.search(r"letters ([A-Z]+)", text)[1]
    return len(set(permutations(word))) if len(word) <= 7 else None


def hand(text: str, numbers: list[int]) -> float:
    red, blue, green = numbers
    box = ["red"] * red + ["blue"] * blue + ["green"] * green
    two, one = re.search(r"two are (\w+) and one is (\w+)", text).groups()
    return probability(list(combinations(box, 3)), lambda drawn: sorted(drawn) == sorted([two, two, one]))


def seats(text: str, numbers: list[int]) -> float:
    people, chairs, between = numbers
    assert people == chairs
    return probability([other for other in range(1, people)], lambda other: between in (other - 1, people - other - 1))


def shares(text: str, numbers: list[int]) -> int | None:
    sweets, children, least = numbers

    def ways(sweets: int, children: int) -> int:
        if children == 1:
            return int(sweets >= least)
        return sum(ways(sweets - first, children - 1) for first in range(least, sweets + 1))

    return ways(sweets, children) if children <= 4 else None


def paths(text: str, numbers: list[int]) -> int:
    _, _, right, up, x, y = numbers

    def ways(a: int, b: int) -> int:
        return 1 if a == 0 or b == 0 else ways(a - 1, b) + ways(a, b - 1)

    return ways(x, y) * ways(right - x, up - y)


COUNTED: dict[Callable, Callable[[str, list[int]], float | None]] = {
    counting._codes: lambda t, n: len(list(product(range(n[1]), repeat=n[0]))) if n[1] ** n[0] < 9999 else None,
    counting._officers: lambda t, n: (
        sum(1 for _ in permutations(range(n[2]), n[0])) if n[2] ** n[0] < 30_000 else None
    ),
    counting._multiples: lambda t, n: sum(i % n[2] == 0 for i in range(n[0], n[1] + 1)),
    counting._committee: lambda t, n: (
        len(list(combinations(range(n[0]), n[2]))) * len(list(combinations(range(n[1]), n[3])))
    ),
    counting._one_ball: lambda t, n: Fraction(n[0] + n[2], sum(n[:3])),
    counting._handshakes: lambda t, n: sum(a // 2 != b // 2 for a, b in combinations(range(2 * n[0]), 2)),
    counting._letters: letters,
    counting._two_dice: lambda t, n: probability(
        list(product(range(1, n[0] + 1), range(1, n[3] + 1))), lambda rolled: sum(rolled) == n[6]
    ),
    counting._same_colour: lambda t, n: probability(
        list(combinations([0] * n[0] + [1] * n[1], 2)), lambda drawn: drawn[0] == drawn[1]
    ),
    counting._paths: paths,
    counting._at_least_one: lambda t, n: sum(min(c) < n[1] for c in combinations(range(n[1] + n[2]), n[0])),
    counting._coins: lambda t, n: (
        probability(list(product((0, 1), repeat=n[0])), lambda tossed: sum(tossed) >= n[1]) if n[0] < 12 else None
    ),
    counting._neither: lambda t, n: sum(bool(i % n[2] and i % n[3]) for i in range(1, n[1] + 1)),
    counting._shares: shares,
    counting._apart: seats,
    counting._hand: hand,
}


@pytest.mark.parametrize("template", COUNTED, ids=lambda template: template.__name__)
def test_counts_and_probabilities(template: Callable) -> None:
    compared = 0
    for text, numbers, answer in sampled(template):
        expected = COUNTED[template](text, numbers)
        if expected is not None:
            compared += 1
            assert answer == pytest.approx(float(expected), rel=1e-12), text
    assert compared >= 5


# --- geometry, by coordinates -------------------------------------------------------------------------------------


def heron(text: str, n: list[int]) -> float:
    a, b, c = n
    x = (b * b + c * c - a * a) / (2 * c)  # the corner above side c
    return c * math.sqrt(b * b - x * x) / 2


def inscribed_circle(text: str, n: list[int]) -> float:
    legs = [value(leg) for leg in re.findall(r"\$(.*?)\$", text)]
    radius = legs[0] * legs[1] / (sum(legs) + math.hypot(*legs))  # twice the area by the perimeter
    return math.pi * radius**2


MEASURED: dict[Callable, Callable[[str, list[int]], float]] = {
    geometry._rectangle: lambda t, n: 2 * (n[1] + n[0] / n[1]),
    geometry._hypotenuse: lambda t, n: math.hypot(n[0], n[1]),
    geometry._third_angle: lambda t, n: 180 - n[0] - n[1],
    geometry._annulus: lambda t, n: math.pi * (n[1] + n[0]) * (n[1] - n[0]),
    geometry._polygon: lambda t, n: 180 - 360 / n[0],
    geometry._similar: lambda t, n: n[1] * (n[2] / n[0]),
    geometry._distance: lambda t, n: math.dist(n[:2], n[2:]),
    geometry._square_diagonal: lambda t, n: math.sqrt(n[0]) * math.sqrt(2),
    geometry._lattice_triangle: lambda t, n: (
        abs(n[0] * n[3] - n[1] * n[2] + n[2] * n[5] - n[3] * n[4] + n[4] * n[1] - n[5] * n[0]) / 2
    ),
    geometry._equilateral: lambda t, n: (n[0] / 3) ** 2 * math.sin(math.pi / 3) / 2,
    geometry._cone: lambda t, n: math.pi * n[0] ** 2 * n[1] / 3,
    geometry._chord: lambda t, n: 2 * n[0] * math.sin(math.acos(n[1] / n[0])),
    geometry._heron: heron,
    geometry._inscribed_circle: inscribed_circle,
    geometry._box_diagonal: lambda t, n: math.pi * math.dist((0, 0, 0), n),
}


@pytest.mark.parametrize("template", MEASURED, ids=lambda template: template.__name__)
def test_lengths_areas_and_volumes(template: Callable) -> None:
    for text, numbers, answer in sampled(template):
        assert answer == pytest.approx(MEASURED[template](text, numbers), rel=1e-9), text
        assert answer > 0


def test_every_template_is_compared() -> None:
    for task, compared in (
        (counting.MathCountingAndProbability, COUNTED),
        (geometry.MathGeometry, MEASURED),
    ):
        assert {template for level in task.templates for template in level} == set(compared)
