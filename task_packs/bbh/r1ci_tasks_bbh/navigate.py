"""navigate: does a walk end where it began?"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import YES_NO
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask, problem_text

_STEP = re.compile(
    r"(?:Take|Go) (\d+) steps?(?: (?:to the )?(forward|backward|left|right))?\.|Turn (left|right|around)\."
)
_SIDES = {"forward": (0, 1), "right": (1, 0), "backward": (0, -1), "left": (-1, 0)}
_QUARTERS = {"right": 1, "around": 2, "left": 3}

Move = tuple[int, str]
"""A number of steps and a side, or 0 and a turn."""


class Navigate(BbhTask):
    """Questions are made with coordinates and solved with complex numbers."""

    name = "navigate"
    description = "Decide whether a walk leads back to its starting point."
    capability = "planning"
    form = YES_NO

    def make(self, rng: random.Random, level: int) -> Problem:
        length = rng.randint(*((2, 4), (4, 7), (7, 11))[level])
        wanted = rng.random() < 0.5
        turning = rng.random() < 0.5
        while True:
            moves = _turning(rng, length) if turning else _facing(rng, length)
            if not wanted:
                index = rng.choice([i for i, (steps, _) in enumerate(moves) if steps])
                moves[index] = (moves[index][0] + rng.choice((1, 2, 3)), moves[index][1])
            if (_end(moves) == (0, 0)) is wanted and len(moves) <= 2 * length + 2:
                break
        way = " ".join(_sentence(steps, where, turning) for steps, where in moves)
        rule = "" if turning else " You face the same way all the time."
        return Problem(f"You walk as follows.{rule} {way} Are you back where you began?", "yes" if wanted else "no")

    def solution(self, text: str) -> str | None:
        moves = _moves(text)
        if not moves:
            return None
        place, heading = 0j, 1j
        for steps, side, turn in moves:
            if turn:
                heading *= {"left": 1j, "right": -1j, "around": -1}[turn]
            else:
                place += steps * heading * {"forward": 1, "backward": -1, "left": 1j, "right": -1j}[side]
        return "no" if place else "yes"

    def programs(self, question: Question) -> Sequence[Program]:
        moves = _moves(problem_text(question))
        steps = [turn or (side, count) for count, side, turn in moves]
        return tuple(Program(style, code.replace("MOVES", repr(steps))) for style, code in _PROGRAMS.items())


def _facing(rng: random.Random, length: int) -> list[Move]:
    """A closed walk without turns: random steps, the steps that take them back, all in random order."""
    moves = [(rng.randint(1, 10), rng.choice(list(_SIDES))) for _ in range(length)]
    x, y = _end(moves)
    if x:
        moves.append((abs(x), "left" if x > 0 else "right"))
    if y:
        moves.append((abs(y), "backward" if y > 0 else "forward"))
    rng.shuffle(moves)
    return moves


def _turning(rng: random.Random, length: int) -> list[Move]:
    """A closed walk with turns: random steps and turns, then turns and steps that lead back."""
    moves: list[Move] = [(rng.randint(1, 10), "forward")]
    for _ in range(length - 1):
        moves.append((rng.randint(1, 10), "forward") if rng.random() < 0.5 else (0, rng.choice(list(_QUARTERS))))
    heading = sum(_QUARTERS[where] for steps, where in moves if not steps) % 4
    x, y = _end(moves)
    for distance, wanted in ((abs(y), 2 if y > 0 else 0), (abs(x), 3 if x > 0 else 1)):
        if distance:
            turn = (wanted - heading) % 4
            if turn:
                moves.append((0, {1: "right", 2: "around", 3: "left"}[turn]))
            moves.append((distance, "forward"))
            heading = wanted
    if rng.random() < 0.3:
        moves.append((0, rng.choice(list(_QUARTERS))))
    return moves


def _end(moves: Sequence[Move]) -> tuple[int, int]:
    """Where a walk from the origin ends; sides are relative to the heading, which starts north."""
    x = y = heading = 0
    for steps, where in moves:
        if not steps:
            heading += _QUARTERS[where]
            continue
        dx, dy = _SIDES[where]
        for _ in range(heading % 4):
            dx, dy = dy, -dx
        x, y = x + steps * dx, y + steps * dy
    return x, y


def _sentence(steps: int, where: str, turning: bool) -> str:
    if not steps:
        return f"Turn {where}."
    unit = "step" if steps == 1 else "steps"
    if turning:
        return f"Go {steps} {unit}."
    return f"Go {steps} {unit} {'to the ' if where in ('left', 'right') else ''}{where}."


def _moves(text: str) -> list[tuple[int, str, str]]:
    """Steps, side and turn of each instruction; a side or a turn is empty where there is none."""
    return [(int(steps or 0), side or ("forward" if steps else ""), turn) for steps, side, turn in _STEP.findall(text)]


_PROGRAMS = {
    "complex": """\
place, heading = 0, 1j
for move in MOVES:
    if isinstance(move, str):
        heading *= {"left": 1j, "right": -1j, "around": -1}[move]
    else:
        side, steps = move
        place += steps * heading * {"forward": 1, "backward": -1, "left": 1j, "right": -1j}[side]
print("yes" if place == 0 else "no")
""",
    "coordinates": """\
x = y = 0
dx, dy = 0, 1
for move in MOVES:
    if move == "left":
        dx, dy = -dy, dx
    elif move == "right":
        dx, dy = dy, -dx
    elif move == "around":
        dx, dy = -dx, -dy
    else:
        side, n = move
        if side == "forward":
            x, y = x + n * dx, y + n * dy
        elif side == "backward":
            x, y = x - n * dx, y - n * dy
        elif side == "left":
            x, y = x - n * dy, y + n * dx
        else:
            x, y = x + n * dy, y - n * dx
print("yes" if (x, y) == (0, 0) else "no")
""",
    "counters": """\
quarters = {"forward": 0, "right": 1, "around": 2, "backward": 2, "left": 3}
walked = [0, 0, 0, 0]  # north, east, south, west
heading = 0
for move in MOVES:
    if isinstance(move, str):
        heading = (heading + quarters[move]) % 4
    else:
        side, steps = move
        walked[(heading + quarters[side]) % 4] += steps
north, east, south, west = walked
print("yes" if north == south and east == west else "no")
""",
}
