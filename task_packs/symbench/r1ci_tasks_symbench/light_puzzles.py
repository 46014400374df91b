"""The task ``light_puzzles``: a grid of lights after some buttons have been pressed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import integers
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

_EXAMPLE = "1, 0, 0, 1, 1, 0"

_TEXT = """\
A board of {size} rows and {size} columns is full of lights; 1 is a light that is on, 0 one that is off:

{board}

Each button toggles a set of lights: of these, pressing it turns off every light that is on and turns on every light \
that is off. Lights are given as (row, column), both counted from 1 at the top left.

{buttons}

The buttons are pressed in this order: {presses}

What is the state of all lights after that? Put the rows, one after another from top to bottom, as one list between \
<<< and >>>. A board with the two rows 1 0 0 and 1 1 0 would be written <<<{example}>>>"""


class LightPuzzles(Task):
    """Toggle sets of lights on an n x n board, n from 2 to 5, by a sequence of button presses.

    Source: ``light_puzzles`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "light_puzzles"
    description = "The state of a board of lights after a sequence of button presses."
    levels = 4
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        size = 2 + self.level(rng, difficulty)
        board = [[rng.randrange(2) for _ in range(size)] for _ in range(size)]
        cells = [(r, c) for r in range(1, size + 1) for c in range(1, size + 1)]
        buttons = {
            name: [list(cell) for cell in rng.sample(cells, rng.randint(2, len(cells) * 3 // 4))]
            for name in "ABCD"[: rng.randint(2, 4)]
        }
        presses = rng.choices(sorted(buttons), k=rng.randint(size, size + 2))
        lights = [row[:] for row in board]
        for name in presses:
            for r, c in buttons[name]:
                lights[r - 1][c - 1] ^= 1
        return _question(board, buttons, presses, [light for row in lights for light in row])

    def check(self, question: Question, answer: str) -> bool:
        return integers(answer) == _final(question.metadata)

    def solve(self, question: Question) -> str | None:
        return ", ".join(map(str, _final(question.metadata)))

    def programs(self, question: Question) -> Sequence[Program]:
        data = question.metadata
        head = "".join(f"{name} = {data[name]!r}\n" for name in ("board", "buttons", "presses"))
        return [Program(style, f"{head}\n{code}") for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    params = record["params"]
    question = _question(params["initial_state"], params["buttons"], params["operations"], params["solution"])
    return in_upstream_words(question, record["question"])


def _question(
    board: Sequence[Sequence[int]],
    buttons: Mapping[str, Sequence[Sequence[int]]],
    presses: Sequence[str],
    lights: Sequence[int],
) -> Question:
    text = _TEXT.format(
        size=len(board),
        board="\n".join("".join(map(str, row)) for row in board),
        buttons="\n".join(
            f"Button {name}: {', '.join(f'({r}, {c})' for r, c in cells)}" for name, cells in buttons.items()
        ),
        presses=", ".join(presses),
        example=_EXAMPLE,
    )
    metadata = {"board": board, "buttons": buttons, "presses": presses}
    return Question(text=text, answer=", ".join(map(str, lights)), metadata=metadata, example=_EXAMPLE)


def _final(data: Mapping[str, Any]) -> list[int]:
    """The lights after all presses, row by row: each has changed as often as the buttons that hold it were pressed."""
    pressed = {name: data["presses"].count(name) for name in data["buttons"]}
    return [
        (light + sum(pressed[name] for name, cells in data["buttons"].items() if [r, c] in cells)) % 2
        for r, row in enumerate(data["board"], 1)
        for c, light in enumerate(row, 1)
    ]


_PROGRAMS = {
    "direct": """\
for name in presses:
    for r, c in buttons[name]:
        board[r - 1][c - 1] = 1 - board[r - 1][c - 1]
print(", ".join(str(light) for row in board for light in row))
""",
    "function": """\
def press(board, cells):
    return [
        [1 - light if [r, c] in cells else light for c, light in enumerate(row, 1)]
        for r, row in enumerate(board, 1)
    ]

for name in presses:
    board = press(board, buttons[name])
print([light for row in board for light in row])
""",
    "parity": """\
from collections import Counter

changes = Counter()
for name, times in Counter(presses).items():
    for r, c in buttons[name]:
        changes[r - 1, c - 1] += times
n = len(board)
print([(board[r][c] + changes[r, c]) % 2 for r in range(n) for c in range(n)])
""",
    "library": """\
import numpy as np

lights = np.array(board)
for name in presses:
    rows, columns = np.array(buttons[name]).T - 1
    lights[rows, columns] ^= 1
print(lights.flatten().tolist())
""",
}
