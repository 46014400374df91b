"""geometric_shapes: the shape that an SVG path draws."""

from __future__ import annotations

import math
import random
import re

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, letter_of, with_options
from r1ci_tasks_bbh.task import BbhTask

_SHAPES = [
    "circle",
    "ellipse",
    "heptagon",
    "hexagon",
    "kite",
    "line",
    "octagon",
    "pentagon",
    "rectangle",
    "sector",
    "trapezoid",
    "triangle",
]
_CORNERS = {"triangle": 3, "pentagon": 5, "hexagon": 6, "heptagon": 7, "octagon": 8}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

Point = tuple[float, float]


class GeometricShapes(BbhTask):
    """Questions are made by drawing a shape, which is recognised from the numbers of the path."""

    name = "geometric_shapes"
    description = "Name the shape that an SVG path draws."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        shape = rng.choice(_SHAPES)
        if shape in ("circle", "ellipse"):
            path = _round(rng, shape)
        elif shape == "sector":
            path = _sector(rng)
        else:
            points = _outline(rng, shape)
            if level == 2 and shape != "line":
                points = _with_extra_point(rng, points)
            path = _lines(rng, points, closed=shape != "line", broken=level > 0)
        stem = (
            f'What does the SVG path <path d="{path}"/> draw? Corners count where the outline turns. A trapezoid has '
            "exactly one pair of parallel sides; a kite has two pairs of equal neighbouring sides and no parallel "
            "ones; a sector is a piece of a disc between two radii."
        )
        return with_options(stem, _SHAPES, shape)

    def solution(self, text: str) -> str | None:
        found = re.search(r'What does the SVG path <path d="([^"]+)"', text)
        return None if found is None else letter_of(text, _recognised(found[1]) or "")


def _round(rng: random.Random, shape: str) -> str:
    """A circle or an ellipse as two half arcs."""
    x, y, a = rng.uniform(35, 65), rng.uniform(35, 65), rng.uniform(18, 30)
    b = a if shape == "circle" else a * rng.uniform(0.4, 0.75)
    turn = rng.uniform(0, 360) if shape == "ellipse" else 0.0
    dx, dy = a * math.cos(math.radians(turn)), a * math.sin(math.radians(turn))
    ends = [f"{x + dx:.2f},{y + dy:.2f}", f"{x - dx:.2f},{y - dy:.2f}"]
    arc = f"A {a:.2f},{b:.2f} {turn:.2f} 1,0"
    return f"M {ends[0]} {arc} {ends[1]} {arc} {ends[0]}"


def _sector(rng: random.Random) -> str:
    x, y, radius = rng.uniform(35, 65), rng.uniform(35, 65), rng.uniform(18, 30)
    start, width = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 5.5)
    ends = [f"{x + radius * math.cos(t):.2f},{y + radius * math.sin(t):.2f}" for t in (start, start + width)]
    arc = f"A {radius:.2f},{radius:.2f} 0.00 {int(width > math.pi)},1 {ends[1]}"
    return f"M {x:.2f},{y:.2f} L {ends[0]} {arc} L {x:.2f},{y:.2f}"


def _outline(rng: random.Random, shape: str) -> list[Point]:
    """Corners of a line or a polygon, far enough from any other shape of the list."""
    if shape == "line":
        x, y, angle, half = rng.uniform(30, 70), rng.uniform(30, 70), rng.uniform(0, 2 * math.pi), rng.uniform(8, 28)
        return [(x + s * half * math.cos(angle), y + s * half * math.sin(angle)) for s in (1, -1)]
    if shape in _CORNERS:
        return _polygon(rng, _CORNERS[shape])
    w, h = rng.uniform(20, 32), rng.uniform(9, 16)
    if shape == "rectangle":
        corners = [(-w, -h), (w, -h), (w, h), (-w, h)]
    elif shape == "kite":
        corners = [(0.0, -h), (w, 0.0), (0.0, h), (-w * rng.uniform(0.2, 0.6), 0.0)]
    else:
        # The upper side is much shorter, and shifted by less than the sides need to become parallel.
        top, shift = w * rng.uniform(0.3, 0.6), w * rng.uniform(-0.2, 0.2)
        corners = [(-w, -h), (w, -h), (top + shift, h), (-top + shift, h)]
    x, y, angle = rng.uniform(45, 55), rng.uniform(45, 55), rng.uniform(0, 2 * math.pi)
    c, s = math.cos(angle), math.sin(angle)
    return [(x + c * u - s * v, y + s * u + c * v) for u, v in corners]


def _polygon(rng: random.Random, corners: int) -> list[Point]:
    """A polygon around its centre, with a clear turn at every corner."""
    while True:
        x, y, start = rng.uniform(45, 55), rng.uniform(45, 55), rng.uniform(0, 2 * math.pi)
        angles = [start + 2 * math.pi * (i + rng.uniform(-0.25, 0.25)) / corners for i in range(corners)]
        points = []
        for angle in angles:
            radius = rng.uniform(18, 42)
            points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        if all(abs(_turn(points[i - 2], points[i - 1], points[i])) > 0.2 for i in range(corners)):
            return points


def _turn(a: Point, b: Point, c: Point) -> float:
    """The angle in radians by which the path from a through b to c turns at b."""
    angle = math.atan2(c[1] - b[1], c[0] - b[0]) - math.atan2(b[1] - a[1], b[0] - a[0])
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _with_extra_point(rng: random.Random, points: list[Point]) -> list[Point]:
    """One more point in the middle of a side, where the path goes straight on."""
    index = rng.randrange(len(points))
    (x, y), (u, v) = points[index - 1], points[index]
    return [*points[:index], ((x + u) / 2, (y + v) / 2), *points[index:]]


def _lines(rng: random.Random, points: list[Point], *, closed: bool, broken: bool) -> str:
    """A path through points; a broken one sometimes lifts the pen and sets it down at the same point."""
    written = [f"{x:.2f},{y:.2f}" for x, y in points]
    written += written[:1] if closed else []
    path = f"M {written[0]}"
    for index, point in enumerate(written[1:], 1):
        path += f" L {point}"
        if broken and index < len(written) - 1 and rng.random() < 0.4:
            path += f" M {point}"
    return path


def _recognised(path: str) -> str | None:
    """The shape of a path, from its commands and the directions and lengths of its sides."""
    arcs = path.count("A")
    if arcs:
        if "L" in path:
            return "sector"
        first, second = (float(number) for number in _NUMBER.findall(path.partition("A")[2])[:2])
        return "circle" if math.isclose(first, second, rel_tol=0.01) else "ellipse"
    numbers = [float(number) for number in _NUMBER.findall(path)]
    points = [complex(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    sides = [b - a for a, b in zip(points, points[1:], strict=False) if a != b]
    if points[0] != points[-1]:
        return "line" if len(sides) == 1 else None
    # Sides that go on in the same direction are one side.
    merged: list[complex] = []
    for side in sides:
        if merged and _parallel(merged[-1], side):
            merged[-1] += side
        else:
            merged.append(side)
    if len(merged) > 3 and _parallel(merged[0], merged[-1]):
        merged[0] += merged.pop()
    if len(merged) == 4:
        return _quadrilateral(merged)
    return next((name for name, corners in _CORNERS.items() if corners == len(merged)), None)


def _parallel(a: complex, b: complex) -> bool:
    cross = (a.conjugate() * b).imag
    return abs(cross) < 0.01 * abs(a) * abs(b)


def _quadrilateral(sides: list[complex]) -> str | None:
    a, b, c, d = sides
    parallel = _parallel(a, c) + _parallel(b, d)
    if parallel == 2:
        return "rectangle" if abs((a.conjugate() * b).real) < 0.01 * abs(a) * abs(b) else None
    if parallel == 1:
        return "trapezoid"
    for p, q, r, s in ((a, b, c, d), (b, c, d, a)):
        if math.isclose(abs(p), abs(q), rel_tol=0.01) and math.isclose(abs(r), abs(s), rel_tol=0.01):
            return "kite"
    return None
