"""Programs about matrices and maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r1ci_tasks_reasoning_gym.programs.template import Codes, Programs, filled, found


def _matrix(text: str, templates: Mapping[str, str], **values: Any) -> Codes:
    """Templates that start with the question's matrix of digits, in the form that each one names."""
    grid = found(r"(?:^\d+(?: \d+)*\n)*^\d+(?: \d+)*$", text)[0]
    return filled(
        templates,
        strings=f'm = [row.split() for row in """{grid}""".splitlines()]',
        cells=f'rows = """{grid}""".splitlines()\n'
        "m = {(i, j): x for i, row in enumerate(rows) for j, x in enumerate(row.split())}",
        **values,
    )


def _rotate_matrix(text: str) -> Codes:
    return _matrix(
        text,
        {
            "library": """
                STRINGS
                for _ in range(DEGREES // 90):
                    m = list(zip(*m[::-1]))
                for row in m:
                    print(*row)
            """,
            "index": """
                STRINGS
                n = len(m)
                for _ in range(DEGREES // 90):
                    m = [[m[n - 1 - j][i] for j in range(n)] for i in range(n)]
                for row in m:
                    print(*row)
            """,
        },
        degrees=found(r"by (\d+) degrees clockwise", text)[1],
    )


def _spiral_matrix(text: str) -> Codes:
    return _matrix(
        text,
        {
            "rows": """
                STRINGS
                spiral = []
                while m:
                    spiral += m.pop(0)
                    m = list(zip(*m))[::-1]
                print(*spiral)
            """,
            "coordinates": """
                CELLS
                i, j, di, dj = 0, 0, 0, 1
                while m:
                    print(m.pop((i, j)), end=" ")
                    if (i + di, j + dj) not in m:
                        di, dj = dj, -di
                    i, j = i + di, j + dj
            """,
        },
    )


def _binary_matrix(text: str) -> Codes:
    return _matrix(
        text,
        {
            "brute_force": """
                STRINGS
                zeros = [(i, j) for i, row in enumerate(m) for j, x in enumerate(row) if x == "0"]
                for i, row in enumerate(m):
                    print(*(min(abs(i - a) + abs(j - b) for a, b in zeros) for j in range(len(row))))
            """,
            "breadth_first": """
                STRINGS
                queue = [(i, j) for i, row in enumerate(m) for j, x in enumerate(row) if x == "0"]
                steps = {p: 0 for p in queue}
                for i, j in queue:
                    for p in (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1):
                        if p not in steps and 0 <= p[0] < len(m) and 0 <= p[1] < len(m[0]):
                            steps[p] = steps[i, j] + 1
                            queue.append(p)
                for i, row in enumerate(m):
                    print(*(steps[i, j] for j in range(len(row))))
            """,
        },
    )


def _largest_island(text: str) -> Codes:
    return _matrix(
        text,
        {
            "stack": """
                CELLS
                land = {p for p in m if m[p] == "1"}
                best = 0
                while land:
                    stack, size = [land.pop()], 0
                    while stack:
                        i, j = stack.pop()
                        size += 1
                        for p in (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1):
                            if p in land:
                                land.remove(p)
                                stack.append(p)
                    best = max(best, size)
                print(best)
            """,
            "recursive": """
                CELLS
                land = {p for p in m if m[p] == "1"}
                def area(i, j):
                    if (i, j) not in land:
                        return 0
                    land.remove((i, j))
                    return 1 + area(i + 1, j) + area(i - 1, j) + area(i, j + 1) + area(i, j - 1)
                print(max(area(i, j) for i, j in m))
            """,
        },
    )


def _rotten_oranges(text: str) -> Codes:
    return _matrix(
        text,
        {
            "layers": """
                CELLS
                fresh = {p for p in m if m[p] == "1"}
                rotten = {p for p in m if m[p] == "2"}
                minutes = 0
                while fresh and rotten:
                    near = {p for i, j in rotten for p in [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]}
                    rotten = near & fresh
                    fresh -= rotten
                    minutes += 1
                print(-1 if fresh else minutes)
            """,
            "breadth_first": """
                CELLS
                queue = [p for p in m if m[p] == "2"]
                time = {p: 0 for p in queue}
                for i, j in queue:
                    for p in (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1):
                        if m.get(p) == "1" and p not in time:
                            time[p] = time[i, j] + 1
                            queue.append(p)
                print(-1 if any(m[p] == "1" and p not in time for p in m) else max(time.values()))
            """,
        },
    )


def _game_of_life(text: str) -> Codes:
    return filled(
        {
            "index": """
                import json
                g = BOARD
                h, w = len(g), len(g[0])
                def alive(i, j):
                    n = sum(g[(i + a) % h][(j + b) % w] for a in (-1, 0, 1) for b in (-1, 0, 1)) - g[i][j]
                    return int(n == 3 or n == 2 and g[i][j] == 1)
                for _ in range(STEPS):
                    g = [[alive(i, j) for j in range(w)] for i in range(h)]
                print(json.dumps(g))
            """,
            "library": """
                import json
                from collections import Counter
                g = BOARD
                h, w = len(g), len(g[0])
                alive = {(i, j) for i in range(h) for j in range(w) if g[i][j]}
                around = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
                for _ in range(STEPS):
                    n = Counter(((i + a) % h, (j + b) % w) for i, j in alive for a, b in around)
                    alive = {p for p in n if n[p] == 3 or n[p] == 2 and p in alive}
                print(json.dumps([[int((i, j) in alive) for j in range(w)] for i in range(h)]))
            """,
        },
        board=found(r"^\[\[[\d,\]\s\[]+\]\]", text)[0],
        steps=found(r"after (\d+) steps", text)[1],
    )


def _shortest_path(text: str) -> Codes:
    grid = found(r"(?:^[*#OX](?: [*#OX])*\n)*^[*#OX](?: [*#OX])*$", text)[0]
    return filled(
        {
            "breadth_first": """
                rows = '''GRID'''.splitlines()
                m = {(i, j): x for i, row in enumerate(rows) for j, x in enumerate(row.split())}
                queue = [p for p in m if m[p] == "*"]
                path = {queue[0]: ""}
                moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
                for i, j in queue:
                    for word, (a, b) in moves.items():
                        p = i + a, j + b
                        if m.get(p, "X") != "X" and p not in path:
                            path[p] = path[i, j] + " " + word
                            queue.append(p)
                print(path.get(next(p for p in m if m[p] == "#"), "infeasible").strip())
            """,
            "backwards": """
                rows = '''GRID'''.splitlines()
                m = {(i, j): x for i, row in enumerate(rows) for j, x in enumerate(row.split())}
                moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
                queue = [p for p in m if m[p] == "#"]
                steps = {queue[0]: 0}
                for i, j in queue:
                    for a, b in moves.values():
                        p = i - a, j - b
                        if m.get(p, "X") != "X" and p not in steps:
                            steps[p] = steps[i, j] + 1
                            queue.append(p)
                i, j = next(p for p in m if m[p] == "*")
                path = []
                while steps.get((i, j)):
                    for word, (a, b) in moves.items():
                        if steps.get((i + a, j + b)) == steps[i, j] - 1:
                            break
                    path.append(word)
                    i, j = i + a, j + b
                print(*path or ["infeasible"])
            """,
        },
        grid=grid,
    )


def _maze(text: str) -> Codes:
    start, goal = found(r"from '(.)' \(start\) to '(.)' \(goal\)", text).groups()
    templates = {
        "breadth_first": """
            m = {(i, j): x for i, row in enumerate(MAZE) for j, x in enumerate(row)}
            queue = [p for p in m if m[p] == START]
            steps = {queue[0]: 0}
            for i, j in queue:
                if m[i, j] == GOAL:
                    print(steps[i, j])
                    break
                for p in (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1):
                    if m[p] != WALL and p not in steps:
                        steps[p] = steps[i, j] + 1
                        queue.append(p)
        """,
        "layers": """
            m = {(i, j): x for i, row in enumerate(MAZE) for j, x in enumerate(row)}
            open = {p for p in m if m[p] != WALL}
            here = {p for p in m if m[p] == START}
            steps = 0
            while all(m[p] != GOAL for p in here):
                open -= here
                here = {p for i, j in here for p in [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]} & open
                steps += 1
            print(steps)
        """,
    }
    return filled(
        templates,
        maze=repr(found(r"^```\n((?:.+\n)+)```$", text)[1].splitlines()),
        start=repr(start),
        goal=repr(goal),
        wall=repr(found(r"'(.)' = Wall", text)[1]),
    )


PROGRAMS: Programs = {
    "binary_matrix": _binary_matrix,
    "game_of_life": _game_of_life,
    "largest_island": _largest_island,
    "maze": _maze,
    "rotate_matrix": _rotate_matrix,
    "rotten_oranges": _rotten_oranges,
    "shortest_path": _shortest_path,
    "spiral_matrix": _spiral_matrix,
}
