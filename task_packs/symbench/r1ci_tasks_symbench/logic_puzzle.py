"""The task ``logic_puzzle``: choose numbers of a grid so that the sums or products of rows and columns are bounded."""

from __future__ import annotations

import math
import operator
import random
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_tasks_symbench.positions import positions
from r1ci_tasks_symbench.wording import in_upstream_words

Cell = tuple[int, int]

COUNTS = {2: 3, 3: 5, 4: 7, 5: 9, 6: 12, 7: 15, 8: 18, 9: 20, 10: 22}
"""How many numbers are chosen from a grid of each size; level 0 is the smallest."""

_RULES: Mapping[str, tuple[Callable[[list[int]], int], Callable[[int, int], bool], str]] = {
    "sum_le": (sum, operator.le, "sum of the chosen numbers is less than or equal to"),
    "product_gt": (math.prod, operator.gt, "product of the chosen numbers is greater than"),
}
"""What is combined by row and column, how it compares with the bound, and both in words."""

_EXAMPLE = "0 3, 2 1"

_TEXT = """\
This grid has {size} rows and {size} columns of numbers; the numbers of a row are separated by commas:

{grid}

Choose exactly {count} cells so that
- the top right cell, row 0 column {last}, is one of them,
- the numbers in the chosen cells are all different,
- in every row and in every column that has chosen cells, the {rule} {bound}.

Any such choice counts. Put the chosen cells, in any order, between <<< and >>>. A cell is row and column, both \
counted from 0 at the top left, and cells are separated by commas: <<<{example}>>> means two cells, row 0 column 3 \
and row 2 column 1."""


class LogicPuzzle(Task):
    """Choose distinct numbers of a grid, 2 x 2 to 10 x 10, with every row's and column's sum or product bounded.

    Source: ``logic_puzzle`` of SymBench (CodeSteer-v1.0). Any choice that obeys the rules counts.
    """

    name = "logic_puzzle"
    description = "Distinct numbers of a grid whose sums or products by row and column obey a bound."
    levels = len(COUNTS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        size = 2 + self.level(rng, difficulty)
        if size == 2 or rng.random() < 0.4:
            highest = COUNTS[size] + size // 2
            values = list(range(1, highest + 1))
            chosen = _choose_positive(rng, size, highest)
            kind, bound = "sum_le", max(map(sum, _lines(chosen)))
        else:
            # Fewer positive numbers than are to be chosen: some must be negative, in pairs by row and column.
            highest = COUNTS[size] - 1
            values = [*range(1, highest + 1)] * 2 + [*range(-highest, 0)]
            chosen = _choose_signed(rng, size, highest)
            kind, bound = "product_gt", 0
        grid = [[chosen.get((r, c), rng.choice(values)) for c in range(size)] for r in range(size)]
        return _question(grid, kind, bound, len(chosen), list(chosen))

    def check(self, question: Question, answer: str) -> bool:
        cells = positions(answer)
        data = question.metadata
        grid, size = data["grid"], len(data["grid"])
        if len(cells) != data["count"] or not all(0 <= r < size and 0 <= c < size for r, c in cells):
            return False
        chosen = {(r, c): grid[r][c] for r, c in cells}
        combine, compare, _ = _RULES[data["kind"]]
        return (
            len(set(chosen.values())) == len(cells)  # a cell that is repeated repeats its number
            and (0, size - 1) in chosen
            and all(compare(combine(line), data["bound"]) for line in _lines(chosen))
        )

    def solve(self, question: Question) -> str | None:
        data = question.metadata
        if data["kind"] == "sum_le":
            cells = _bounded_sums(data["grid"], data["count"], data["bound"])
        else:
            cells = _positive_products(data["grid"], data["count"])
        return None if cells is None else _answer(cells)

    def variations(self, question: Question) -> Sequence[str]:
        cells = question.answer.split(", ")
        pairs = ["[" + cell.replace(" ", ", ") + "]" for cell in cells]
        return ", ".join(reversed(cells)), f"[{', '.join(pairs)}]"


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; its text, or else its reference, says how many cells to choose."""
    params, text = record["params"], record["question"]
    kind, _, bound = params["constraints"]["type"].rpartition("_")
    if kind not in _RULES:
        raise ValueError(f"there is no constraint {params['constraints']['type']!r}")
    count = re.search(r"select (\d+) different", text or "")
    number = int(count[1]) if count else len(params["solution"])
    return in_upstream_words(_question(params["grid"], kind, int(bound), number, params["solution"]), text)


def _question(
    grid: Sequence[Sequence[int]], kind: str, bound: int, count: int, chosen: Sequence[Sequence[int]]
) -> Question:
    text = _TEXT.format(
        size=len(grid),
        last=len(grid) - 1,
        grid="\n".join(", ".join(map(str, row)) for row in grid),
        count=count,
        rule=_RULES[kind][2],
        bound=bound,
        example=_EXAMPLE,
    )
    metadata = {"grid": grid, "kind": kind, "bound": bound, "count": count}
    return Question(text=text, answer=_answer(chosen), metadata=metadata, example=_EXAMPLE)


def _answer(cells: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{r} {c}" for r, c in cells)


def _lines(chosen: Mapping[Cell, int]) -> list[list[int]]:
    """The chosen numbers of every row and of every column that has any."""
    lines: dict[tuple[str, int], list[int]] = {}
    for (r, c), value in chosen.items():
        lines.setdefault(("row", r), []).append(value)
        lines.setdefault(("column", c), []).append(value)
    return list(lines.values())


def _choose_positive(rng: random.Random, size: int, highest: int) -> dict[Cell, int]:
    """Random cells, the top right one among them, with distinct positive numbers."""
    count = COUNTS[size]
    others = [(r, c) for r in range(size) for c in range(size) if (r, c) != (0, size - 1)]
    cells = [(0, size - 1), *rng.sample(others, count - 1)]
    rng.shuffle(cells)
    return dict(zip(cells, rng.sample(range(1, highest + 1), count), strict=True))


def _choose_signed(rng: random.Random, size: int, highest: int) -> dict[Cell, int]:
    """Random cells, the top right one among them, whose negative numbers are corners of disjoint rectangles."""
    count, corner = COUNTS[size], (0, size - 1)
    negative: list[Cell] = []
    for _ in range(rng.randint(1, max(1, count // 6))):
        rows, columns = rng.sample(range(size), 2), rng.sample(range(size), 2)
        rectangle = [(r, c) for r in rows for c in columns]
        if not set(rectangle) & set(negative):
            negative += rectangle
    free = [(r, c) for r in range(size) for c in range(size) if (r, c) not in negative and (r, c) != corner]
    positive = [] if corner in negative else [corner]
    positive += rng.sample(free, count - len(negative) - len(positive))
    values = [-value for value in rng.sample(range(1, highest + 1), len(negative))]
    values += rng.sample(range(1, highest + 1), len(positive))
    chosen = list(zip(negative + positive, values, strict=True))
    rng.shuffle(chosen)
    return dict(chosen)


def _bounded_sums(grid: Sequence[Sequence[int]], count: int, bound: int) -> list[Cell] | None:
    """Distinct positive numbers with sums of at most ``bound``, small ones first, by backtracking."""
    size = len(grid)
    places: dict[int, list[Cell]] = {}
    for r, row in enumerate(grid):
        for c, value in enumerate(row):
            places.setdefault(value, []).append((r, c))
    values = sorted(set(places) - {grid[0][-1]})
    row_sums, column_sums = [0] * size, [0] * size
    row_sums[0] = column_sums[-1] = grid[0][-1]

    def search(k: int, cells: list[Cell]) -> list[Cell] | None:
        if len(cells) == count:
            return cells
        if len(cells) + len(values) - k < count:
            return None
        value = values[k]
        for r, c in sorted(places[value], key=lambda cell: max(row_sums[cell[0]], column_sums[cell[1]])):
            if max(row_sums[r], column_sums[c]) + value <= bound:
                row_sums[r] += value
                column_sums[c] += value
                found = search(k + 1, [*cells, (r, c)])
                if found:
                    return found
                row_sums[r] -= value
                column_sums[c] -= value
        return search(k + 1, cells)

    return search(0, [(0, size - 1)])


def _positive_products(grid: Sequence[Sequence[int]], count: int) -> list[Cell] | None:
    """Distinct numbers with positive products: the negative ones are corners of disjoint rectangles."""
    size, corner = len(grid), (0, len(grid) - 1)
    cells = [corner, *((r, c) for r in range(size) for c in range(size) if (r, c) != corner)]
    positive = {grid[r][c]: (r, c) for r, c in reversed(cells) if grid[r][c] > 0}
    first = grid[0][-1]
    if first > 0:
        positive = {first: corner, **positive}  # so that it is always taken

    rectangles = []
    for top, bottom in combinations(range(size), 2):
        for left, right in combinations(range(size), 2):
            corners = {grid[r][c]: (r, c) for r in (top, bottom) for c in (left, right) if grid[r][c] < 0}
            if len(corners) == 4:
                rectangles.append(corners)

    def search(negative: dict[int, Cell], later: Sequence[dict[int, Cell]]) -> list[Cell] | None:
        missing = count - len(negative)
        if missing <= len(positive):
            enough = missing >= (first > 0)
            return [*negative.values(), *list(positive.values())[:missing]] if enough else None
        found = (
            search({**negative, **corners}, later[i + 1 :])
            for i, corners in enumerate(later)
            if not negative.keys() & corners.keys()
        )
        return next(filter(None, found), None)

    starts = [{}] if first > 0 else [corners for corners in rectangles if corner in corners.values()]
    return next(filter(None, (search(start, rectangles) for start in starts)), None)
