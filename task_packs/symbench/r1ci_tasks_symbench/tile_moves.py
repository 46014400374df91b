"""SymBench ``2048``: slide one tile of a 2048 board, step by step."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.wording import in_upstream_words

_LEVELS = ((2, (2, 3)), (3, (2, 4)), (4, (3, 5)), (5, (4, 6)))  # side of the board, numbers of moves
_TILES = (2, 4, 8, 16, 32)
_STEPS = {"u": (-1, 0), "d": (1, 0), "l": (0, -1), "r": (0, 1)}
_EXAMPLE = "[[2, 0, 8], [0, 4, 0]]"  # boards are square

_PROGRAMS = {
    "direct": """\
steps = {"u": (-1, 0), "d": (1, 0), "l": (0, -1), "r": (0, 1)}
n = len(board)
for move in moves:
    r, c = row + steps[move][0], column + steps[move][1]
    if not (0 <= r < n and 0 <= c < n):
        continue
    if board[r][c] in (0, board[row][column]):
        board[r][c] += board[row][column]
        board[row][column] = 0
        row, column = r, c
print(board)
""",
    "function": """\
def play(board, row, column, moves):
    if not moves:
        return board
    down = {"u": -1, "d": 1}.get(moves[0], 0)
    right = {"l": -1, "r": 1}.get(moves[0], 0)
    r, c = row + down, column + right
    inside = 0 <= r < len(board) and 0 <= c < len(board)
    if inside and board[r][c] in (0, board[row][column]):
        board[r][c], board[row][column] = board[r][c] + board[row][column], 0
        row, column = r, c
    return play(board, row, column, moves[1:])


print(play(board, row, column, moves))
""",
    "complex_numbers": """\
n = len(board)
cells = {complex(c, r): board[r][c] for r in range(n) for c in range(n)}
here = complex(column, row)
for move in moves:
    there = here + {"u": -1j, "d": 1j, "l": -1, "r": 1}[move]
    if there in cells and cells[there] in (0, cells[here]):
        cells[there] += cells[here]
        cells[here] = 0
        here = there
print([[cells[complex(c, r)] for c in range(n)] for r in range(n)])
""",
}


class TileMoves(Task):
    """Move one tile by single steps: into an empty cell, onto an equal tile (they merge), otherwise not at all.

    Source: SymBench (CodeSteer-v1.0), ``2048``.
    """

    name = "2048"
    description = "Slide one tile of a 2048 board by single steps."
    levels = len(_LEVELS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        side, (fewest, most) = _LEVELS[self.level(rng, difficulty)]
        cells = rng.sample(
            [(row, column) for row in range(side) for column in range(side)], rng.randint(side, 2 * side)
        )
        board = [[0] * side for _ in range(side)]
        for row, column in cells:
            board[row][column] = rng.choice(_TILES)
        moves = "".join(rng.choice("udlr") for _ in range(rng.randint(fewest, most)))
        return _question(board, cells[0], moves)

    def check(self, question: Question, answer: str) -> bool:
        read = [[answers.integer(cell) for cell in row] for row in answers.rows(answer)]
        return read == _play(question.metadata["board"], question.metadata["start"], question.metadata["moves"])

    def solve(self, question: Question) -> str:
        # A walled board as one string of cells: a step is an offset, a wall is a cell that never equals a tile.
        board, (row, column) = question.metadata["board"], question.metadata["start"]
        width = len(board) + 1
        flat = [-1] * width + [cell for line in board for cell in (*line, -1)] + [-1] * width
        at = (row + 1) * width + column
        for move in question.metadata["moves"]:
            to = at + {"u": -width, "d": width, "l": -1, "r": 1}[move]
            if flat[to] == 0 or flat[to] == flat[at]:
                flat[at], flat[to], at = 0, flat[at] + flat[to], to
        return str([flat[(r + 1) * width : (r + 2) * width - 1] for r in range(len(board))])

    def programs(self, question: Question) -> Sequence[Program]:
        row, column = question.metadata["start"]
        inputs = (
            f"board = {question.metadata['board']}\nmoves = {question.metadata['moves']!r}\n"
            f"row, column = {row}, {column}  # counted from 0\n"
        )
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        lines = [", ".join(map(str, row)) for row in answers.rows(question.answer)]
        return ["\n".join(lines), "\n".join(f"[{line}]" for line in lines)]


def _play(board: Sequence[Sequence[int]], start: Sequence[int], moves: str) -> list[list[int]]:
    """The board after all moves. A start on an empty cell moves nothing."""
    after = [list(row) for row in board]
    row, column = start
    for move in moves:
        down, right = _STEPS[move]
        r, c = row + down, column + right
        if 0 <= r < len(after) and 0 <= c < len(after) and after[r][c] in (0, after[row][column]):
            after[r][c] += after[row][column]
            after[row][column] = 0
            row, column = r, c
    return after


def _question(board: Sequence[Sequence[int]], start: Sequence[int], moves: str) -> Question:
    side = len(board)
    lines = "\n".join(", ".join(map(str, row)) for row in board)
    return Question(
        text=f"A {side} x {side} board holds tiles with powers of 2; 0 is an empty cell:\n{lines}\n\n"
        f"Only one tile moves, the one in row {start[0] + 1}, column {start[1] + 1} (counted from 1, from the top "
        f"left). It makes one step for each letter of '{moves}', in this order: u is one cell up, d down, l left, "
        "r right. If the next cell is empty, the tile moves there. If the next cell holds a tile with the same "
        "number, the two become one tile with twice the number in that cell, and this tile moves on with the next "
        "letter. If the next cell holds a different number or would be off the board, the step has no effect. A cell "
        "that a tile leaves is empty.\n"
        "Which board results? Give it as a list of rows between <<< and >>>, in the form "
        f"<<<{_EXAMPLE}>>>.",
        answer=str(_play(board, start, moves)),
        metadata={"board": [list(row) for row in board], "start": list(start), "moves": moves},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``grid``, ``moves`` and ``start_pos`` (counted from 0).

    Raises:
        ValueError: If the board is not square, or a move is not one of u, d, l, r.
    """
    board, moves = record["params"]["grid"], record["params"]["moves"]
    if any(len(row) != len(board) for row in board) or not set(moves) <= set(_STEPS):
        raise ValueError(f"no square board and moves out of u, d, l, r: {board!r}, {moves!r}")
    ours = _question(board, record["params"]["start_pos"], moves)
    return in_upstream_words(replace(ours, answer=record["solution"]), record["question"])
