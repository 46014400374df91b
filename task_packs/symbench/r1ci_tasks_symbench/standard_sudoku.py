"""The task ``standard_sudoku``: fill a 9 x 9 grid."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import Unreadable, rows
from r1ci_tasks_symbench.wording import in_upstream_words

REMOVED = ((25, 35), (36, 44), (45, 50), (51, 55))
"""Least and greatest number of empty cells, by level."""

Grid = Sequence[Sequence[int]]

_EXAMPLE = "[[1, 2, ...], [3, 4, ...], ...]"

_TEXT = """\
Fill in this Sudoku: each row, each column and each of the nine 3 x 3 blocks must hold each of the digits 1 to 9 \
once. Given digits stay as they are; 0 marks an empty cell.

{grid}

Put the filled grid between <<< and >>>, as a list of nine rows of nine digits in the form <<<{example}>>>"""


class StandardSudoku(Task):
    """Fill a 9 x 9 Sudoku in which 25 to 55 cells are empty.

    Source: ``standard_sudoku`` of SymBench (CodeSteer-v1.0). Any filled grid that keeps rules and clues counts.
    """

    name = "standard_sudoku"
    description = "A 9 x 9 Sudoku, filled."
    levels = len(REMOVED)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        solution = _solution(rng)
        puzzle = [list(row) for row in solution]
        for cell in rng.sample(range(81), rng.randint(*REMOVED[level])):
            puzzle[cell // 9][cell % 9] = 0
        return _question(puzzle, solution)

    def check(self, question: Question, answer: str) -> bool:
        symbols = "".join(cell for row in rows(answer) for cell in row)
        if len(symbols) != 81 or set(symbols) != set("123456789"):
            raise Unreadable("not 81 digits from 1 to 9")
        grid = [[int(symbol) for symbol in symbols[k : k + 9]] for k in range(0, 81, 9)]
        clues = zip((cell for row in question.metadata["puzzle"] for cell in row), map(int, symbols), strict=True)
        return all(clue in (0, digit) for clue, digit in clues) and all(len(set(unit)) == 9 for unit in _units(grid))

    def solve(self, question: Question) -> str | None:
        grid = [list(row) for row in question.metadata["puzzle"]]
        return str(grid) if _fill(grid) else None


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    return in_upstream_words(_question(record["params"]["puzzle"], record["solution"]), record["question"])


def _question(puzzle: Grid, solution: Grid) -> Question:
    if [len(row) for row in puzzle] != [9] * 9:
        raise ValueError("a Sudoku has 9 x 9 cells")
    return Question(
        text=_TEXT.format(grid="\n".join(" ".join(map(str, row)) for row in puzzle), example=_EXAMPLE),
        answer=str([list(row) for row in solution]),
        metadata={"puzzle": [list(row) for row in puzzle]},
        example=_EXAMPLE,
    )


def _solution(rng: random.Random) -> list[list[int]]:
    """A filled grid: a pattern with its digits, bands, rows, stacks and columns shuffled."""
    digits = rng.sample(range(1, 10), 9)
    lines, columns = ([3 * g + k for g in rng.sample(range(3), 3) for k in rng.sample(range(3), 3)] for _ in range(2))
    return [[digits[(3 * (r % 3) + r // 3 + c) % 9] for c in columns] for r in lines]


def _units(grid: Grid) -> list[Sequence[int]]:
    blocks = [[grid[r + i][c + j] for i in range(3) for j in range(3)] for r in (0, 3, 6) for c in (0, 3, 6)]
    return [*grid, *zip(*grid, strict=True), *blocks]


def _fill(grid: list[list[int]]) -> bool:
    """Fill the empty cells in place, always the one with the fewest candidates next."""
    candidates = {
        (r, c): [
            digit
            for digit in range(1, 10)
            if digit not in grid[r]
            and all(row[c] != digit for row in grid)
            and all(digit not in row[c // 3 * 3 : c // 3 * 3 + 3] for row in grid[r // 3 * 3 : r // 3 * 3 + 3])
        ]
        for r in range(9)
        for c in range(9)
        if not grid[r][c]
    }
    if not candidates:
        return True
    row, column = min(candidates, key=lambda cell: len(candidates[cell]))
    for digit in candidates[row, column]:
        grid[row][column] = digit
        if _fill(grid):
            return True
    grid[row][column] = 0
    return False
