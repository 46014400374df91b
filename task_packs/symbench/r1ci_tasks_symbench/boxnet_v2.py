"""SymBench ``boxnet_v2``: arms move boxes between adjacent cells until all are at their goals.

Published questions of the older variant ``boxnet1`` are checked as well.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench import boxnet1
from r1ci_tasks_symbench.cells import Cell, adjacent, cell, names
from r1ci_tasks_symbench.wording import in_upstream_words

_LEVELS = (  # rows, columns, numbers of boxes
    (2, 6, (3, 5)),
    (2, 8, (3, 6)),
    (3, 6, (4, 6)),
    (4, 6, (4, 6)),
    (5, 5, (4, 8)),
    (4, 8, (4, 8)),
)
_EXAMPLE = '[{"box1": "C0,1", "box2": "C0,2"}, {"box1": "C0,1", "box2": "C0,3"}]'  # rows are counted from 1

_PROGRAMS = {
    "direct": """\
import json

states = [dict(start)]
for box in start:
    # One box after the other: first along its column to the right row, then along the row.
    row, column = start[box]
    while (row, column) != goal[box]:
        if row != goal[box][0]:
            row += 1 if goal[box][0] > row else -1
        else:
            column += 1 if goal[box][1] > column else -1
        states.append({**states[-1], box: (row, column)})
print(json.dumps([{box: "C%d,%d" % cell for box, cell in state.items()} for state in states]))
""",
    "function": """\
import json


def towards(here, there):
    (r, c), (i, j) = here, there
    if c != j:
        return r, c + (1 if j > c else -1)
    if r != i:
        return r + (1 if i > r else -1), c
    return here


state = dict(start)
plan = [state]
while state != goal:
    left = set()
    following = {}
    for box, here in state.items():
        there = towards(here, goal[box])
        # Only one box may leave a cell in a step.
        following[box] = here if there == here or here in left else there
        if following[box] != here:
            left.add(here)
    state = following
    plan.append(state)
print(json.dumps([{box: f"C{r},{c}" for box, (r, c) in state.items()} for state in plan]))
""",
    "recursive": """\
import json


def plan(state):
    for box, (r, c) in state.items():
        i, j = goal[box]
        if (r, c) != (i, j):
            step = (r + (i > r) - (i < r), c) if r != i else (r, c + (j > c) - (j < c))
            return [state] + plan({**state, box: step})
    return [state]


print(json.dumps([{box: f"C{r},{c}" for box, (r, c) in state.items()} for state in plan(start)]))
""",
}


class BoxnetV2(Task):
    """One arm per cell moves at most one box per step to an adjacent cell; give the states from start to goal.

    Source: SymBench (Code-as-Symbolic-Planner), ``boxnet_v2``; published ``boxnet1`` is checked too.
    """

    name = "boxnet_v2"
    description = "Plan moves of boxes between adjacent cells to their goals."
    levels = len(_LEVELS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        rows, columns, box_counts = _LEVELS[self.level(rng, difficulty)]
        grid = [(row, column) for row in range(1, rows + 1) for column in range(1, columns + 1)]
        count = rng.randint(*box_counts)
        start, goal = rng.sample(grid, count), rng.sample(grid, count)
        if start == goal:
            goal.reverse()
        boxes = [f"box{number}" for number in range(1, count + 1)]
        return _question(rows, columns, dict(zip(boxes, start, strict=True)), dict(zip(boxes, goal, strict=True)))

    def check(self, question: Question, answer: str) -> bool:
        if "squares" in question.metadata:
            return boxnet1.check(question.metadata["squares"], answers.structure(answer))
        return _reaches_goal(question.metadata, _read_states(answer))

    def solve(self, question: Question) -> str | None:
        if "squares" in question.metadata:
            return None
        # One box at a time, so no two ever leave a cell together.
        state = {box: cell(name) for box, name in question.metadata["initial"].items()}
        states = [dict(state)]
        for box, name in question.metadata["goal"].items():
            while state[box] != (goal := cell(name)):
                row, column = state[box]
                if column != goal[1]:
                    state[box] = row, _towards(column, goal[1])
                else:
                    state[box] = _towards(row, goal[0]), column
                states.append(dict(state))
        return _written(states)

    def programs(self, question: Question) -> Sequence[Program]:
        if "squares" in question.metadata:
            return ()
        start, goal = ({box: cell(name) for box, name in question.metadata[k].items()} for k in ("initial", "goal"))
        inputs = f"start = {start}\ngoal = {goal}\n"
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        return [str(json.loads(question.answer)), json.dumps(json.loads(question.answer), indent=1)]


def _towards(here: int, there: int) -> int:
    return here + (there > here) - (there < here)


def _read_states(answer: str) -> list[dict[str, Cell]]:
    states = answers.structure(answer)
    if not isinstance(states, list) or not all(isinstance(state, dict) for state in states):
        raise answers.Unreadable("not a list of states")
    try:
        return [{str(box): cell(name) for box, name in state.items()} for state in states]
    except ValueError as error:
        raise answers.Unreadable(str(error)) from error


def _reaches_goal(metadata: Mapping[str, Any], states: Sequence[Mapping[str, Cell]]) -> bool:
    initial, goal = ({box: cell(name) for box, name in metadata[k].items()} for k in ("initial", "goal"))
    if len(states) < 2 or states[0] != initial or states[-1] != goal:
        return False
    for before, after in zip(states, states[1:], strict=False):
        if after.keys() != initial.keys():
            return False
        moved = [box for box in initial if before[box] != after[box]]
        if not all(adjacent(before[box], after[box]) and _on_grid(after[box], metadata) for box in moved):
            return False
        if len({before[box] for box in moved}) < len(moved):
            return False
    return True


def _on_grid(place: Cell, metadata: Mapping[str, Any]) -> bool:
    return 1 <= place[0] <= metadata["rows"] and 1 <= place[1] <= metadata["columns"]


def _written(states: Sequence[Mapping[str, Cell]]) -> str:
    return json.dumps([dict(zip(state, names(state.values()), strict=True)) for state in states])


def _plan(start: Mapping[str, Cell], goal: Mapping[str, Cell]) -> list[dict[str, Cell]]:
    """States from start to goal; every box takes the direct way, and waits while another one leaves its cell."""
    states = [dict(start)]
    while states[-1] != goal:
        after, left = dict(states[-1]), set()
        for box, (row, column) in states[-1].items():
            if (row, column) != goal[box] and (row, column) not in left:
                left.add((row, column))
                to_row = _towards(row, goal[box][0])
                after[box] = (to_row, column) if to_row != row else (row, _towards(column, goal[box][1]))
        states.append(after)
    return states


def _question(rows: int, columns: int, start: Mapping[str, Cell], goal: Mapping[str, Cell]) -> Question:
    initial, goals = (dict(zip(state, names(state.values()), strict=True)) for state in (start, goal))
    return Question(
        text=f"Boxes stand on a grid of {rows} rows and {columns} columns. Cell Cr,c lies in row r and column c; both "
        f"are counted from 1. Each cell has one arm.\nStart: {json.dumps(initial)}\nGoal: {json.dumps(goals)}\n"
        "In one step each arm can move at most one box out of its own cell, into a cell directly above, below, left "
        "or right of it on the grid; all arms act at the same time. Boxes that are not moved stay where they are. A "
        "cell can hold any number of boxes. Find a plan that brings every box to its goal.\n"
        "Give the plan as a JSON list of states between <<< and >>>: the first state is the start, each further one "
        "is the state after the next step, the last one is the goal. A state names the cell of every box, in the "
        f"form <<<{_EXAMPLE}>>>.",
        answer=_written(_plan(start, goal)),
        metadata={"rows": rows, "columns": columns, "initial": initial, "goal": goals},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``rows``, ``cols``, ``initial``, ``goal``; or ``state`` (of ``boxnet1``).

    Raises:
        ValueError: If a name is not a cell, or a box has no goal.
    """
    params, solution = record["params"], record["solution"]
    if "state" in params:
        ours = boxnet1.question(params["state"], solution or boxnet1.plan_one_by_one(params["state"]))
    else:
        start, goal = ({box: cell(name) for box, name in params[k].items()} for k in ("initial", "goal"))
        if start.keys() != goal.keys():
            raise ValueError("not every box has a start and a goal")
        ours = _question(params["rows"], params["cols"], start, goal)
        ours = replace(ours, answer=json.dumps(solution) if solution else ours.answer)
    return in_upstream_words(ours, record["question"])
