"""SymBench ``gridworld``: a walk over a grid that visits all goals and no obstacle."""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.cells import Cell, adjacent, cell, names, neighbours
from r1ci_tasks_symbench.wording import in_upstream_words

_LEVELS = (  # rows, columns, numbers of goals, numbers of obstacles
    (4, 4, (4, 4), (5, 5)),
    (4, 5, (4, 5), (5, 6)),
    (5, 5, (5, 6), (6, 8)),
    (5, 6, (6, 7), (8, 10)),
    (6, 7, (6, 7), (8, 10)),
)
_EXAMPLE = '["C0,1", "C0,2", "C0,3"]'  # rows and columns are counted from 1
_MOST_CELLS = 10_000

_CELL = re.compile(r"""(["']?)C ?\(?(\d{1,3}) ?, ?(\d{1,3})\)?\1 ?(?:[,;] ?)?""", re.I)

_PROGRAMS = {
    "direct": """\
from collections import deque

path = [start]
todo = set(goals)
while todo:
    came = {path[-1]: None}
    queue = deque([path[-1]])
    while queue:
        r, c = cell = queue.popleft()
        if cell in todo:
            break
        for step in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
            if 1 <= step[0] <= rows and 1 <= step[1] <= columns and step not in obstacles and step not in came:
                came[step] = cell
                queue.append(step)
    leg = []
    while cell != path[-1]:
        leg.append(cell)
        cell = came[cell]
    path += reversed(leg)
    todo -= set(path)
print([f"C{r},{c}" for r, c in path])
""",
    "function": """\
def neighbours(cell):
    r, c = cell
    near = [(r - 1, c), (r, c - 1), (r, c + 1), (r + 1, c)]
    return [(i, j) for i, j in near if 1 <= i <= rows and 1 <= j <= columns and (i, j) not in obstacles]


def shortest(origin, goal):
    routes = [[origin]]
    seen = {origin}
    for route in routes:
        if route[-1] == goal:
            return route
        for cell in neighbours(route[-1]):
            if cell not in seen:
                seen.add(cell)
                routes.append(route + [cell])


path = [start]
for goal in goals:
    path += shortest(path[-1], goal)[1:]
print([f"C{r},{c}" for r, c in path])
""",
    "recursive": """\
path = []
seen = set()


def walk(r, c):
    # Depth first: walk back after each branch, until every goal has been seen.
    seen.add((r, c))
    path.append((r, c))
    for i, j in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
        free = 1 <= i <= rows and 1 <= j <= columns and (i, j) not in obstacles and (i, j) not in seen
        if free and not seen.issuperset(goals):
            walk(i, j)
            if not seen.issuperset(goals):
                path.append((r, c))


walk(*start)
print([f"C{r},{c}" for r, c in path])
""",
}


class Gridworld(Task):
    """Walk from a start cell over edge-adjacent cells so that every goal is visited and no obstacle is entered.

    Source: SymBench (Code-as-Symbolic-Planner), ``gridworld``.
    """

    name = "gridworld"
    description = "Walk over a grid: visit all goals, enter no obstacle."
    levels = len(_LEVELS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        rows, columns, goal_counts, obstacle_counts = _LEVELS[level]
        cells = [(row, column) for row in range(1, rows + 1) for column in range(1, columns + 1)]
        while True:
            rng.shuffle(cells)
            goals = cells[: rng.randint(*goal_counts)]
            start, *obstacles = cells[len(goals) : len(goals) + 1 + rng.randint(*obstacle_counts)]
            if path := _walk(rows, columns, start, goals, obstacles):
                return _question(rows, columns, start, goals, obstacles, path)

    def check(self, question: Question, answer: str) -> bool:
        rows, columns = question.metadata["rows"], question.metadata["columns"]
        start, goals, obstacles = _places(question)
        path = _read(answer)
        return (
            path[0] == start
            and all(1 <= row <= rows and 1 <= column <= columns for row, column in path)
            and all(map(adjacent, path, path[1:]))
            and obstacles.isdisjoint(path)
            and goals.issubset(path)
        )

    def solve(self, question: Question) -> str:
        # Depth first, stepping back: it reaches every connected cell, in any order of the goals.
        rows, columns = question.metadata["rows"], question.metadata["columns"]
        start, goals, obstacles = _places(question)
        path, trail, seen = [start], [start], {start}
        while not goals <= seen:
            near = [c for c in neighbours(trail[-1], rows, columns) if c not in obstacles and c not in seen]
            if near:
                seen.add(near[0])
                trail.append(near[0])
            else:
                trail.pop()
            path.append(trail[-1])
        return json.dumps(names(path))

    def programs(self, question: Question) -> Sequence[Program]:
        start, goals, obstacles = _places(question)
        inputs = (
            f"rows, columns = {question.metadata['rows']}, {question.metadata['columns']}\nstart = {start}\n"
            f"goals = {sorted(goals)}\nobstacles = {sorted(obstacles)}\n"
        )
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        path = json.loads(question.answer)
        return [str(path), ", ".join(path), "\n".join(path)]


def _places(question: Question) -> tuple[Cell, set[Cell], set[Cell]]:
    metadata = question.metadata
    return cell(metadata["start"]), set(map(cell, metadata["goals"])), set(map(cell, metadata["obstacles"]))


def _read(answer: str) -> list[Cell]:
    """The cells of a walk: a list of names, with or without brackets and quotes."""
    text = " ".join(answers.tidy(answer).split())
    if text[:1] + text[-1:] in ("[]", "()"):
        text = text[1:-1].strip()
    walk: list[Cell] = []
    at = 0
    while at < len(text) or not walk:
        match = _CELL.match(text, at)
        if not match or len(walk) == _MOST_CELLS:
            raise answers.Unreadable("not a list of cells like C1,2")
        walk.append((int(match[2]), int(match[3])))
        at = match.end()
    return walk


def _walk(
    rows: int, columns: int, start: Cell, goals: Sequence[Cell], obstacles: Collection[Cell]
) -> list[Cell] | None:
    """From each goal to the nearest next one by a shortest path; None if a goal cannot be reached."""
    walk, todo, blocked = [start], set(goals) - {start}, set(obstacles)
    while todo:
        came = {walk[-1]: walk[-1]}
        queue = deque([walk[-1]])
        while queue and queue[0] not in todo:
            here = queue.popleft()
            for near in neighbours(here, rows, columns):
                if near not in blocked and near not in came:
                    came[near] = here
                    queue.append(near)
        if not queue:
            return None
        leg = [queue[0]]
        while came[leg[-1]] != walk[-1]:
            leg.append(came[leg[-1]])
        walk += reversed(leg)
        todo.discard(walk[-1])
    return walk


def _question(
    rows: int,
    columns: int,
    start: Cell,
    goals: Sequence[Cell],
    obstacles: Sequence[Cell],
    walk: Sequence[Cell],
) -> Question:
    places = {"start": names([start])[0], "goals": names(goals), "obstacles": names(obstacles)}
    return Question(
        text=f"A robot moves on a grid of {rows} rows and {columns} columns. Cell Cr,c lies in row r and column c; "
        f"both are counted from 1, so C1,1 is the top left cell and C{rows},{columns} the bottom right one.\n"
        f"Start: {places['start']}\nGoals: {'; '.join(places['goals'])}\n"
        f"Obstacles: {'; '.join(places['obstacles'])}\n"
        "One step takes the robot from a cell to the cell directly above, below, left or right of it, never off the "
        "grid and never into an obstacle. Find a walk that begins at the start and visits every goal at least once, "
        "in any order; cells may be visited more than once.\n"
        "List all cells of the walk in order, the start included, as a JSON list of strings between <<< and >>>, in "
        f"the form <<<{_EXAMPLE}>>>.",
        answer=json.dumps(names(walk)),
        metadata={"rows": rows, "columns": columns, **places},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``rows``, ``cols``, ``initial``, ``goals``, ``obstacles``; cells like C1,2.

    Raises:
        ValueError: If a name is not a cell, or a goal cannot be reached.
    """
    params = record["params"]
    grid = params["rows"], params["cols"]
    start, goals, obstacles = cell(params["initial"]), [*map(cell, params["goals"])], [*map(cell, params["obstacles"])]
    walk = [*map(cell, record["solution"])] if record["solution"] else _walk(*grid, start, goals, obstacles)
    if walk is None:
        raise ValueError("a goal cannot be reached")
    ours = _question(*grid, start, goals, obstacles, walk)
    return in_upstream_words(ours, record["question"])
