"""The task ``letter_logic_diagram``: complete a Latin square of seven letters with one letter on its anti-diagonal."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import rows
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

LETTERS = "abcdefg"
SIZE = len(LETTERS)

BLANKS = ((15, 19), (20, 25), (26, 30))
"""Fewest and most blank cells, by level."""

_EXAMPLE = "[[a, b], [b, a]]"

_TEXT = """\
Fill the blank cells of this 7 by 7 grid with the letters a to g so that
- every row contains each letter exactly once,
- every column contains each letter exactly once,
- all seven cells of the diagonal from the top right to the bottom left contain the same letter.

One line is one row, and a period is a blank cell:

{grid}

Letters that are already there stay. There may be several ways to fill the grid; any of them counts.

Put the whole filled grid between <<< and >>> as a list of seven rows from top to bottom, each a list of seven \
letters. A grid of only two rows and columns would be written <<<{example}>>>"""


class LetterLogicDiagram(Task):
    """Fill the blanks of a 7 x 7 Latin square whose anti-diagonal holds one letter; any completion counts.

    Source: ``letter_logic_diagram`` of SymBench (CodeSteer-v1.0).
    """

    name = "letter_logic_diagram"
    description = "Complete a 7 by 7 Latin square whose anti-diagonal holds one letter."
    levels = len(BLANKS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        letters = rng.sample(LETTERS, SIZE)
        order = rng.sample(range(SIZE), SIZE)
        # The cyclic square has its anti-diagonal where i + j = 6; moving row i with column 6 - i keeps it there.
        square = [[letters[(order[i] + 6 - order[6 - j]) % SIZE] for j in range(SIZE)] for i in range(SIZE)]
        blanks = set(rng.sample(range(SIZE * SIZE), rng.randint(*BLANKS[level])))
        grid = [[None if SIZE * i + j in blanks else square[i][j] for j in range(SIZE)] for i in range(SIZE)]
        return _question(grid, square)

    def check(self, question: Question, answer: str) -> bool:
        square = [[cell.lower() for cell in row] for row in rows(answer)]
        return (
            [len(row) for row in square] == [SIZE] * SIZE
            and all(sorted(line) == list(LETTERS) for line in [*square, *map(list, zip(*square, strict=True))])
            and len({square[i][SIZE - 1 - i] for i in range(SIZE)}) == 1
            and all(
                given in (None, cell)
                for row, filled in zip(question.metadata["grid"], square, strict=True)
                for given, cell in zip(row, filled, strict=True)
            )
        )

    def solve(self, question: Question) -> str | None:
        given = question.metadata["grid"]
        for letter in LETTERS:
            square = [
                [letter if i + j == SIZE - 1 else cell for j, cell in enumerate(row)] for i, row in enumerate(given)
            ]
            if all(given[i][SIZE - 1 - i] in (None, letter) for i in range(SIZE)) and _complete(square):
                return _nested(square)
        return None

    def programs(self, question: Question) -> Sequence[Program]:
        grid = " ".join("".join(cell or "." for cell in row) for row in question.metadata["grid"])
        return [Program(style, f"grid = {grid!r}.split()\n\n{code}") for style, code in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        square = rows(question.answer)
        lines = "\n".join(",".join(row) for row in square)  # as published
        return lines, lines.replace(",", " "), lines.upper(), json.dumps(square), str(square)


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    params = record["params"]
    if [len(row) for row in params["grid"]] != [SIZE] * SIZE:
        raise ValueError(f"the grid is not {SIZE} by {SIZE}")
    return in_upstream_words(_question(params["grid"], params["solution"]), record["question"])


def _question(grid: Sequence[Sequence[str | None]], square: Sequence[Sequence[str]]) -> Question:
    text = _TEXT.format(grid="\n".join(" ".join(cell or "." for cell in row) for row in grid), example=_EXAMPLE)
    metadata = {"grid": [list(row) for row in grid]}
    return Question(text=text, answer=_nested(square), metadata=metadata, example=_EXAMPLE)


def _nested(square: Sequence[Sequence[str | None]]) -> str:
    return "[" + ", ".join("[" + ", ".join(cell or "" for cell in row) + "]" for row in square) + "]"


def _complete(square: list[list[str | None]]) -> bool:
    """Fill the blanks in place, the most constrained cell first; whether that is possible."""
    best: tuple[int, int, list[str]] | None = None
    for i, row in enumerate(square):
        for j, cell in enumerate(row):
            if cell is None:
                used = {*row, *(other[j] for other in square)}
                options = [letter for letter in LETTERS if letter not in used]
                if best is None or len(options) < len(best[2]):
                    best = i, j, options
    if best is None:
        # Given letters and the diagonal may clash.
        return all(len(set(line)) == SIZE for line in [*square, *zip(*square, strict=True)])
    i, j, options = best
    for letter in options:
        square[i][j] = letter
        if _complete(square):
            return True
    square[i][j] = None
    return False


_PROGRAMS = {
    "backtracking": """\
def options(cells, k, diagonal):
    r, c = divmod(k, 7)
    letters = {diagonal} if r + c == 6 else set("abcdefg") - {diagonal}
    return sorted(letters - set(cells[7 * r:7 * r + 7] + cells[c::7]))

def fill(cells, diagonal):
    if "." not in cells:
        return cells
    k = min((k for k in range(49) if cells[k] == "."), key=lambda k: len(options(cells, k, diagonal)))
    for letter in options(cells, k, diagonal):
        found = fill(cells[:k] + letter + cells[k + 1:], diagonal)
        if found:
            return found

start = "".join(grid)
given = {start[k] for k in range(6, 48, 6)} - {"."}
square = next(filter(None, (fill(start, letter) for letter in sorted(given) or "abcdefg")))
print([list(square[k:k + 7]) for k in range(0, 49, 7)])
""",
    "rows": """\
from itertools import permutations

options = [[p for p in permutations("abcdefg") if all(g in (".", x) for g, x in zip(row, p))] for row in grid]
order = sorted(range(7), key=lambda r: len(options[r]))

def search(chosen, letter):
    if len(chosen) == 7:
        return chosen
    r = order[len(chosen)]
    for row in options[r]:
        if row[6 - r] == letter and not any(x == y for other in chosen.values() for x, y in zip(row, other)):
            found = search({**chosen, r: row}, letter)
            if found:
                return found

square = next(filter(None, (search({}, letter) for letter in "abcdefg")))
print([list(square[r]) for r in range(7)])
""",
    "exact_cover": """\
from itertools import product

def cover(placed, left):
    if not left:
        return placed
    need = min(left, key=lambda n: len(left[n]))
    for option in left[need]:
        done = [n for n in left if option in left[n]]
        gone = {o for n in done for o in left[n]}
        found = cover(placed + [option], {n: [o for o in left[n] if o not in gone] for n in left if n not in done})
        if found:
            return found

for diagonal in "abcdefg":
    left = {(a, i, j): [] for a in range(3) for i in range(7) for j in range(7)}
    for r, c, x in product(range(7), repeat=3):
        letter = "abcdefg"[x]
        if grid[r][c] in (".", letter) and (letter == diagonal) == (r + c == 6):
            for need in (0, r, c), (1, r, x), (2, c, x):
                left[need].append((r, c, letter))
    placed = cover([], left)
    if placed:
        print([[x for r, _, x in sorted(placed) if r == i] for i in range(7)])
        break
""",
}
