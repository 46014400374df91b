"""The task ``pattern_recognition``: find the one uniform square in a grid of letters."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import integers
from r1ci_tasks_symbench.wording import in_upstream_words

GRIDS = ((6, 8), (8, 10), (10, 12), (12, 15), (15, 20))
"""Least and greatest height and width, by level."""

_SMALLEST = 3
_EXAMPLE = "[90, 90]"  # no grid is that large

_TEXT = """\
In this grid of letters, exactly one square of side 3 or more consists of one and the same letter and is not a \
part of a larger such square:

{grid}

Where is its bottom-right corner? Rows and columns are counted from 0, from the top left. Put row and column between \
<<< and >>>, in the form <<<{example}>>>"""


class PatternRecognition(Task):
    """Find the bottom-right cell, counted from 0, of the one uniform square of side 3 or more.

    Source: ``pattern_recognition`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "pattern_recognition"
    description = "The bottom-right corner of the one uniform square in a grid of letters."
    levels = len(GRIDS)
    capability = "reasoning"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        while True:
            height, width = rng.randint(*GRIDS[level]), rng.randint(*GRIDS[level])
            side = rng.randint(_SMALLEST, min(height, width) // 2)
            top, left = rng.randint(0, height - side), rng.randint(0, width - side)
            grid = [rng.choices(ascii_uppercase, k=width) for _ in range(height)]
            letter = rng.choice(ascii_uppercase)
            for row in range(top, top + side):
                grid[row][left : left + side] = letter * side
            corner = [top + side - 1, left + side - 1]
            if _ends(grid) == _part_of(corner, side):
                return _question(["".join(row) for row in grid], str(corner))

    def check(self, question: Question, answer: str) -> bool:
        sides = _ends(question.metadata["grid"])
        position = integers(answer)
        return len(position) == 2 and bool(sides) and sides.get((position[0], position[1])) == max(sides.values())

    def solve(self, question: Question) -> str | None:
        grid = question.metadata["grid"]
        for side in range(min(len(grid), len(grid[0])), _SMALLEST - 1, -1):
            for row in range(side - 1, len(grid)):
                for column in range(side - 1, len(grid[0])):
                    parts = {line[column - side + 1 : column + 1] for line in grid[row - side + 1 : row + 1]}
                    if parts == {grid[row][column] * side}:
                        return str([row, column])
        return None

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"grid = {list(question.metadata['grid'])!r}\n"
        return [Program(style, inputs + code) for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; the grid stands only in its text."""
    lines = re.findall(r"^[ \t]*(\S(?:[ \t]+\S)+)[ \t]*$", record["question"], re.M)
    grid = ["".join(line.split()) for line in lines]
    if len({len(row) for row in grid}) != 1:
        raise ValueError("no grid of letters in the text")
    return in_upstream_words(_question(grid, str(record["solution"])), record["question"])


def _question(grid: Sequence[str], answer: str) -> Question:
    text = _TEXT.format(grid="\n".join(map(" ".join, grid)), example=_EXAMPLE)
    return Question(text=text, answer=answer, metadata={"grid": list(grid)}, example=_EXAMPLE)


def _ends(grid: Sequence[Sequence[str]]) -> dict[tuple[int, int], int]:
    """The side of the largest uniform square that ends in each cell, where it is 3 or more."""
    sides: dict[tuple[int, int], int] = {}
    for row, line in enumerate(grid):
        for column, letter in enumerate(line):
            near = [(row - 1, column), (row, column - 1), (row - 1, column - 1)]
            same = row and column and all(grid[r][c] == letter for r, c in near)
            sides[row, column] = 1 + min(sides[cell] for cell in near) if same else 1
    return {cell: side for cell, side in sides.items() if side >= _SMALLEST}


def _part_of(corner: Sequence[int], side: int) -> dict[tuple[int, int], int]:
    """What ``_ends`` finds where a single square is."""
    return {
        (corner[0] - up, corner[1] - left): side - max(up, left)
        for up in range(side - _SMALLEST + 1)
        for left in range(side - _SMALLEST + 1)
    }


_PROGRAMS = {
    "direct": """\
best = (0, 0, 0)
for r in range(len(grid)):
    for c in range(len(grid[0])):
        side = 1
        while r - side >= 0 and c - side >= 0 and all(
            grid[r - i][c - j] == grid[r][c] for i in range(side + 1) for j in range(side + 1)
        ):
            side += 1
        best = max(best, (side, r, c))
print([best[1], best[2]])
""",
    "function": """\
def is_uniform(top, left, side):
    return len({grid[r][c] for r in range(top, top + side) for c in range(left, left + side)}) == 1


def find_corner():
    for side in range(min(len(grid), len(grid[0])), 2, -1):
        for top in range(len(grid) - side + 1):
            for left in range(len(grid[0]) - side + 1):
                if is_uniform(top, left, side):
                    return [top + side - 1, left + side - 1]


print(find_corner())
""",
    "dynamic_programming": """\
size = {}
for r in range(len(grid)):
    for c in range(len(grid[0])):
        before = [(r - 1, c), (r, c - 1), (r - 1, c - 1)]
        if r and c and all(grid[i][j] == grid[r][c] for i, j in before):
            size[r, c] = 1 + min(size[cell] for cell in before)
        else:
            size[r, c] = 1
print(list(max(size, key=size.get)))
""",
}
