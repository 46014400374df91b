"""The task ``eight_queens``: complete a board with blocked cells to eight queens that do not attack each other."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.positions import positions
from r1ci_tasks_symbench.wording import in_upstream_words

SIZE = 8

_EXAMPLE = "0 3, 1 0, 2 4"

_TEXT = """\
This is a chessboard of {size} rows and {size} columns. 1 is a queen, 0 is an empty cell, X is a blocked cell where \
no queen may stand.

{board}

Add queens, without moving those on the board, so that there are {size} queens in all and no two of them share a row, \
a column or a diagonal. Every such placement counts.

Put the positions of all {size} queens, those already on the board included and in any order, between <<< and >>>. A \
position is row and column, both counted from 0 at the top left, and positions are separated by commas: \
<<<{example}>>> means three queens, at row 0 column 3, row 1 column 0 and row 2 column 4."""


class EightQueens(Task):
    """Complete a board with 0 to 3 queens and 0 to 4 blocked cells to eight queens without attacks; any way counts.

    Source: ``eight_queens`` of SymBench (CodeSteer-v1.0). The higher the level, the fewer queens stand already.
    """

    name = "eight_queens"
    description = "Complete a chessboard with blocked cells to eight queens that do not attack each other."
    levels = 4
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        columns = next(_placements(rng.sample(range(SIZE), SIZE), {}, set()))
        queens = list(enumerate(columns))
        free = [(r, c) for r in range(SIZE) for c in range(SIZE) if columns[r] != c]
        board = [["0"] * SIZE for _ in range(SIZE)]
        for r, c in rng.sample(queens, 3 - level):
            board[r][c] = "1"
        for r, c in rng.sample(free, rng.randint(0, 4)):
            board[r][c] = "X"
        return _question(["".join(row) for row in board], queens)

    def check(self, question: Question, answer: str) -> bool:
        queens = positions(answer)
        board = question.metadata["board"]
        size = len(board)
        return (
            len(queens) == size
            and all(0 <= r < size and 0 <= c < size and board[r][c] != "X" for r, c in queens)
            and all(
                len(lines) == size
                for lines in (
                    {r for r, _ in queens},
                    {c for _, c in queens},
                    {r + c for r, c in queens},
                    {r - c for r, c in queens},
                )
            )
            and all((r, c) in queens for r in range(size) for c in range(size) if board[r][c] == "1")
        )

    def solve(self, question: Question) -> str | None:
        cells = [(r, c, mark) for r, row in enumerate(question.metadata["board"]) for c, mark in enumerate(row)]
        fixed = {r: c for r, c, mark in cells if mark == "1"}
        blocked = {(r, c) for r, c, mark in cells if mark == "X"}
        columns = next(_placements(range(len(question.metadata["board"])), fixed, blocked), None)
        return None if columns is None else _answer(list(enumerate(columns)))

    def programs(self, question: Question) -> Sequence[Program]:
        head = f"board = {list(question.metadata['board'])}\n\n"
        return [Program(style, head + code) for style, code in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        cells = question.answer.split(", ")
        pairs = ["(" + cell.replace(" ", ", ") + ")" for cell in cells]
        return ", ".join(reversed(cells)), "\n".join(cells), f"[{', '.join(pairs)}]"


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; those of varied complexity have boards of other sizes."""
    params = record["params"]
    board = params["initial_board"]
    if any(len(row) != len(board) for row in board):
        raise ValueError("the board is not square")
    return in_upstream_words(_question(board, params["solution"]), record["question"])


def _question(board: Sequence[str], queens: Sequence[Sequence[int]]) -> Question:
    text = _TEXT.format(size=len(board), board="\n".join(board), example=_EXAMPLE)
    return Question(text=text, answer=_answer(queens), metadata={"board": list(board)}, example=_EXAMPLE)


def _answer(queens: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{r} {c}" for r, c in queens)


def _placements(
    order: Sequence[int], fixed: Mapping[int, int], blocked: set[tuple[int, int]], columns: tuple[int, ...] = ()
) -> Iterator[tuple[int, ...]]:
    """All columns of queens by row: ``fixed`` gives those of some rows; columns are tried in ``order``."""
    r = len(columns)
    if r == len(order):
        yield columns
        return
    for c in [fixed[r]] if r in fixed else order:
        free = all(c != other and abs(c - other) != r - i for i, other in enumerate(columns))
        if free and (r, c) not in blocked:
            yield from _placements(order, fixed, blocked, (*columns, c))


_PROGRAMS = {
    "brute_force": """\
from itertools import permutations

def fits(columns):
    if any(board[r][c] == "X" for r, c in enumerate(columns)):
        return False
    if any("1" in row and row[c] != "1" for row, c in zip(board, columns)):
        return False
    return len({r + c for r, c in enumerate(columns)}) == len({r - c for r, c in enumerate(columns)}) == 8

columns = next(filter(fits, permutations(range(8))))
print(", ".join(f"{r} {c}" for r, c in enumerate(columns)))
""",
    "recursive": """\
def place(columns):
    r = len(columns)
    if r == 8:
        return columns
    for c in range(8):
        allowed = board[r][c] == "1" if "1" in board[r] else board[r][c] == "0"
        if allowed and all(c != d and abs(c - d) != r - i for i, d in enumerate(columns)):
            found = place(columns + [c])
            if found:
                return found

print(", ".join(f"{r} {c}" for r, c in enumerate(place([]))))
""",
    "iterative": """\
stack = [()]
while stack:
    queens = stack.pop()
    if len(queens) == 8:
        print(", ".join(f"{r} {c}" for r, c in queens))
        break
    r = len(queens)
    columns = [board[r].index("1")] if "1" in board[r] else [c for c in range(8) if board[r][c] == "0"]
    for c in columns:
        if all(c != y and r + c != x + y and r - c != x - y for x, y in queens):
            stack.append(queens + ((r, c),))
""",
}
