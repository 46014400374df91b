"""The task ``reversi``: the board after some moves."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import tidy
from r1ci_tasks_symbench.wording import in_upstream_words

LEVELS = ((4, 1), (4, 2), (6, 1), (6, 2), (6, 3))
"""Side of the board and number of moves, by level."""

Move = tuple[int, int]

_DIRECTIONS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]

_TEXT = """\
In Reversi, black (0) and white (1) take turns putting a piece of their colour on an empty cell (*) of the board. \
From the new piece, look in all eight directions: an unbroken line of the opponent's pieces that has another piece of \
the mover's colour at its far end is turned to the mover's colour. Nothing else changes.

The board is now, with {side} rows and columns:

{board}

These moves follow (row and column are counted from 1, from the top left):

{moves}

Put the board after these moves between <<< and >>>: all cells, row after row, as one list separated by commas. An \
empty board would be written <<<{example}>>>"""


class Reversi(Task):
    """Play one to three moves on a 4 x 4 or 6 x 6 Reversi board, from the board that the question shows.

    Source: ``reversi`` of SymBench (CodeSteer-v1.0). The answer is unique. Published questions show the
    board after the moves as the one before them; a move to a cell that is taken has no right answer.
    """

    name = "reversi"
    description = "A Reversi board after one to three moves."
    levels = len(LEVELS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        side, number = LEVELS[self.level(rng, difficulty)]
        while True:
            board, player = _start(side), "0"
            for _ in range(rng.randint(0, side * side // 2 - 4)):
                if places := _places(board, player):
                    board = _played(board, player, rng.choice(places))
                player = _other(player)
            moves: list[Move] = []
            after, mover = board, player
            while len(moves) < number and (places := _places(after, mover)):
                moves.append(rng.choice(places))
                after, mover = _played(after, mover, moves[-1]), _other(mover)
            if len(moves) == number:
                return _question(board, player, moves, ",".join("".join(after)))

    def check(self, question: Question, answer: str) -> bool:
        after = _after(question.metadata["board"], question.metadata["player"], question.metadata["moves"])
        # As it is, and tidied: to ``tidy``, two empty cells at either end look like markup.
        return after is not None and any(_cells(text) == "".join(after) for text in (answer, tidy(answer)))

    def solve(self, question: Question) -> str | None:
        side = len(question.metadata["board"])
        cells = {(i // side, i % side): cell for i, cell in enumerate("".join(question.metadata["board"]))}
        player = question.metadata["player"]
        for row, column in question.metadata["moves"]:
            here = (row - 1, column - 1)
            rivals = _other(player)
            for a, b in _DIRECTIONS:
                ray = [(here[0] + k * a, here[1] + k * b) for k in range(1, side)]
                line = "".join(cells.get(cell, "-") for cell in ray)
                if flanked := re.match(f"{rivals}+(?={player})", line):
                    cells.update(dict.fromkeys(ray[: flanked.end()], player))
            cells[here] = player
            player = rivals
        return ", ".join(cells.values())

    def variations(self, question: Question) -> Sequence[str]:
        after = _after(question.metadata["board"], question.metadata["player"], question.metadata["moves"]) or []
        return [" ".join("".join(after)), "\n".join(after), str([list(row) for row in after])]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record: played on the board that its text shows, else on the start."""
    params, text = record["params"], record["question"]
    side = params["board_size"]
    board = _start(side)
    if text:
        shown = re.search(rf"((?:^[01*]{{{side}}}\s*$\n?){{{side}}})", text, re.M)
        if not shown:
            raise ValueError("no board in the text")
        board = shown[1].split()
    player = "1" if text and "play white" in text else "0"
    moves = [(int(row), int(column)) for row, column in params["moves"]]
    return in_upstream_words(_question(board, player, moves, record["solution"]), text)


def _question(board: Sequence[str], player: str, moves: Sequence[Move], answer: str) -> Question:
    names = {"0": "Black", "1": "White"}
    movers = [player if k % 2 == 0 else _other(player) for k in range(len(moves))]
    lines = [
        f"- {names[mover]}: row {row}, column {column}" for mover, (row, column) in zip(movers, moves, strict=True)
    ]
    example = ",".join("*" * len(board) ** 2)
    return Question(
        text=_TEXT.format(side=len(board), board="\n".join(board), moves="\n".join(lines), example=example),
        answer=answer,
        metadata={"board": list(board), "player": player, "moves": [list(move) for move in moves]},
        example=example,
    )


def _start(side: int) -> list[str]:
    """Two pieces of each colour in the middle, diagonally."""
    edge = "*" * (side // 2 - 1)
    empty = ["*" * side] * (side // 2 - 1)
    return [*empty, f"{edge}10{edge}", f"{edge}01{edge}", *empty]


def _other(player: str) -> str:
    return "1" if player == "0" else "0"


def _flips(board: Sequence[str], player: str, move: Move) -> list[Move]:
    """The cells, counted from 1, whose pieces a move turns over."""
    side, found = len(board), []
    for a, b in _DIRECTIONS:
        line: list[Move] = []
        row, column = move[0] + a, move[1] + b
        while 1 <= row <= side and 1 <= column <= side and board[row - 1][column - 1] == _other(player):
            line.append((row, column))
            row, column = row + a, column + b
        if 1 <= row <= side and 1 <= column <= side and board[row - 1][column - 1] == player:
            found += line
    return found


def _places(board: Sequence[str], player: str) -> list[Move]:
    """The empty cells where a piece turns something over."""
    cells = [(r, c) for r in range(1, len(board) + 1) for c in range(1, len(board) + 1)]
    return [cell for cell in cells if board[cell[0] - 1][cell[1] - 1] == "*" and _flips(board, player, cell)]


def _played(board: Sequence[str], player: str, move: Move) -> list[str]:
    mine = {move, *_flips(board, player, move)}
    return [
        "".join(player if (r, c) in mine else cell for c, cell in enumerate(row, 1)) for r, row in enumerate(board, 1)
    ]


def _after(board: Sequence[str], player: str, moves: Sequence[Sequence[int]]) -> Sequence[str] | None:
    """The board after all moves; None if one goes to a cell that is taken."""
    for row, column in moves:
        if board[row - 1][column - 1] != "*":
            return None
        board, player = _played(board, player, (row, column)), _other(player)
    return board


def _cells(text: str) -> str:
    """The text without separators between cells."""
    return re.sub(r"""[\s,;\[\]()"'`]""", "", unicodedata.normalize("NFKC", text))
