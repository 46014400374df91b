"""Programs that search: puzzles, plans and assignments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from r1ci_tasks_reasoning_gym.programs.template import Codes, Programs, filled, found, literal


def _course_schedule(text: str) -> Codes:
    return filled(
        {
            "library": """
                from graphlib import CycleError, TopologicalSorter
                sorter = TopologicalSorter()
                for course, needed in PAIRS:
                    sorter.add(course, needed)
                try:
                    sorter.prepare()
                    print(True)
                except CycleError:
                    print(False)
            """,
            "elimination": """
                pairs = PAIRS
                while pairs:
                    waiting = {course for course, needed in pairs}
                    rest = [pair for pair in pairs if pair[1] in waiting]
                    if len(rest) == len(pairs):
                        break
                    pairs = rest
                print(not pairs)
            """,
        },
        pairs=found(r"^\[.*\]$", text)[0],
    )


def _mini_sudoku(text: str) -> Codes:
    rows = re.findall(r"^[\d_](?: [\d_]){3}$", text, re.MULTILINE)
    if len(rows) != 4:
        raise ValueError("not four rows")
    return filled(
        {
            "backtracking": """
                g = GRID
                def solve(k):
                    if k == 16:
                        return True
                    i, j = divmod(k, 4)
                    if g[i][j]:
                        return solve(k + 1)
                    box = [g[i // 2 * 2 + a][j // 2 * 2 + b] for a in (0, 1) for b in (0, 1)]
                    for n in (1, 2, 3, 4):
                        if n not in g[i] + box + [row[j] for row in g]:
                            g[i][j] = n
                            if solve(k + 1):
                                return True
                    g[i][j] = 0
                    return False
                solve(0)
                for row in g:
                    print(*row)
            """,
            "filtering": """
                from itertools import permutations, product
                g = GRID
                def fits(row):
                    return [p for p in permutations((1, 2, 3, 4)) if all(x in (0, n) for x, n in zip(row, p))]
                for a, b, c, d in product(*map(fits, g)):
                    units = [*zip(a, b, c, d), a[:2] + b[:2], a[2:] + b[2:], c[:2] + d[:2], c[2:] + d[2:]]
                    if all(len(set(u)) == 4 for u in units):
                        for row in a, b, c, d:
                            print(*row)
                        break
            """,
        },
        grid="[" + ", ".join("[" + row.replace("_", "0").replace(" ", ", ") + "]" for row in rows) + "]",
    )


def _tower_of_hanoi(text: str) -> Codes:
    disks, pegs = found(r"with (\d+) disks and (\d+) pegs", text).groups()
    start, target = found(r"from Peg (\d+) to Peg (\d+)", text).groups()
    values = {"disks": disks, "start": start, "target": target, "pegs": pegs}
    if pegs == "3":
        templates = {
            "recursive": """
                def move(n, a, b):
                    if n:
                        c = 6 - a - b
                        move(n - 1, a, c)
                        print(f"Move disk {n} from Peg {a} to Peg {b}")
                        move(n - 1, c, b)
                move(DISKS, START, TARGET)
            """,
            "stack": """
                stack = [(DISKS, START, TARGET)]
                while stack:
                    n, a, b = stack.pop()
                    if n > 0:
                        c = 6 - a - b
                        stack += [(n - 1, c, b), (-n, a, b), (n - 1, a, c)]
                    elif n:
                        print(f"Move disk {-n} from Peg {a} to Peg {b}")
            """,
        }
    else:
        # Frame and Stewart: set the k smallest disks aside with all pegs, move the others without that peg.
        templates = {
            "recursive": """
                from functools import cache
                @cache
                def best(n, pegs):
                    if n < 2:
                        return n, 0
                    if pegs == 3:
                        return 2**n - 1, n - 1
                    return min((2 * best(k, pegs)[0] + best(n - k, pegs - 1)[0], k) for k in range(1, n))
                def move(disks, a, b, free):
                    if not disks:
                        return
                    k = best(len(disks), len(free) + 2)[1]
                    c, *rest = free or [a]
                    move(disks[:k], a, c, [b, *rest])
                    if len(disks) - k == 1:
                        print(f"Move disk {disks[-1]} from Peg {a} to Peg {b}")
                    else:
                        move(disks[k:], a, b, rest)
                    move(disks[:k], c, b, [a, *rest])
                free = [p for p in range(1, PEGS + 1) if p not in (START, TARGET)]
                move(list(range(1, DISKS + 1)), START, TARGET, free)
            """,
        }
    return filled(templates, **values)


def _jugs(text: str) -> Codes:
    capacities = dict(re.findall(r"\b([A-Z]):(\d+)", found(r"litres of water: (.+)$", text)[1]))
    return filled(
        {
            "breadth_first": """
                import json
                size, names, goal = [SIZES], "NAMES", GOAL
                queue = [(0,) * len(size)]
                path = {queue[0]: []}
                for state in queue:
                    if goal in state:
                        print(json.dumps(path[state]))
                        break
                    options = []
                    for i, name in enumerate(names):
                        options.append((f"fill {name}", {i: size[i]}))
                        options.append((f"empty {name}", {i: 0}))
                        for j, other in enumerate(names):
                            if i != j:
                                amount = min(state[i], size[j] - state[j])
                                options.append((f"pour {name}->{other}", {i: state[i] - amount, j: state[j] + amount}))
                    for move, change in options:
                        new = tuple(change.get(i, x) for i, x in enumerate(state))
                        if new not in path:
                            path[new] = path[state] + [move]
                            queue.append(new)
            """,
        },
        sizes=", ".join(capacities.values()),
        names="".join(capacities),
        goal=found(r"target is: (\d+)", text)[1],
    )


def _quantum_lock(text: str) -> Codes:
    start, light, target = found(r"Start: (-?\d+) \((red|green)\)\s+Target: (-?\d+)", text).groups()
    buttons = re.findall(r"^([A-Z]): (Add|Subtract|Multiply) (-?\d+) \(when (any|red|green)\)", text, re.MULTILINE)
    signs = {"Add": "+", "Subtract": "-", "Multiply": "*"}
    return filled(
        {
            "breadth_first": """
                buttons = {BUTTONS}
                queue = [(START, "LIGHT")]
                path = {queue[0]: []}
                for number, light in queue:
                    if number == TARGET:
                        print(" → ".join(path[number, light]))
                        break
                    for name, (press, when) in buttons.items():
                        value = press(number) if when in ("any", light) else number
                        state = value, "green" if light == "red" else "red"
                        if state not in path:
                            path[state] = path[number, light] + [name]
                            queue.append(state)
            """,
            "layers": """
                buttons = {BUTTONS}
                layer = {START: ""}
                light = "LIGHT"
                while TARGET not in layer:
                    new = {}
                    for number, path in layer.items():
                        for name, (press, when) in buttons.items():
                            value = press(number) if when in ("any", light) else number
                            new.setdefault(value, path + name)
                    layer = new
                    light = "green" if light == "red" else "red"
                print(" → ".join(layer[TARGET]))
            """,
        },
        buttons=", ".join(
            f'"{name}": (lambda x: x {signs[verb]} {number}, "{when}")' for name, verb, number, when in buttons
        ),
        start=start,
        light=light,
        target=target,
    )


def _self_reference(text: str) -> Codes:
    least, most, true, false = (
        found(rf"'{words} (\d+) of these 7 statements are {kind}\.'", text)[1]
        for words, kind in (("At least", "true"), ("At most", "false"), ("Exactly", "true"), ("Exactly", "false"))
    )
    return filled(
        {
            "brute_force": """
                from itertools import product
                count = 0
                for s in product([True, False], repeat=7):
                    t = sum(s)
                    f = 7 - t
                    said = [t >= LEAST, f <= MOST, t == EXACT, f == WRONG]
                    said += [s[2] != s[3], t in (2, 3, 5, 7), f in (4, 6)]
                    count += list(s) == said
                print(count)
            """,
            # The number of true statements decides every statement but the fifth, and then that one too.
            "elimination": """
                count = 0
                for t in range(8):
                    f = 7 - t
                    s = [t >= LEAST, f <= MOST, t == EXACT, f == WRONG, t in (2, 3, 5, 7), f in (4, 6)]
                    s.append(s[2] != s[3])
                    count += sum(s) == t
                print(count)
            """,
        },
        least=least,
        most=most,
        exact=true,
        wrong=false,
    )


def _bf(text: str) -> Codes:
    return filled(
        {
            # Stepping through the commands would take millions of steps for some questions.
            "translation": """
                python = {
                    ">": "p += 1",
                    "<": "p -= 1",
                    "+": "t[p] = (t[p] + 1) % 256",
                    "-": "t[p] = (t[p] - 1) % 256",
                    ".": "print(chr(t[p]), end='')",
                    "[": "while t[p]:",
                }
                lines, indent = ["t, p = [0] * 1000, 0"], ""
                for c in CODE:
                    if c == "]":
                        indent = indent[1:]
                    else:
                        lines.append(indent + python[c])
                    if c == "[":
                        indent += " "
                        lines.append(indent + "pass")
                exec("\\n".join(lines))
            """,
        },
        code=literal(found(r"^[-+<>\[\].,]+$", text)[0]),
    )


def _knights_knaves(text: str) -> Codes:
    names = re.findall(r"\w+", found(r"inhabitants: ([^.]+)\.", text)[1].replace(" and ", " "))
    knight, liar = found(r"who is an? (\w+) and who is an? (\w+)\?", text).groups()
    statements = _statements(text.partition("inhabitants: ")[2].partition(". ")[2].partition("So who is")[0], names)
    if set(statements) != set(names):
        raise ValueError("not one statement by everybody")
    claims = [(name, _claim(statements[name], knight, liar)) for name in names]
    shown = [f"{name} is a {{role[{name}]}}" for name in names]
    return filled(
        {
            "brute_force": """
                from itertools import product
                role = {True: "KNIGHT", False: "LIAR"}
                for NAMES in product([True, False], repeat=COUNT):
                    if CLAIMS:
                        print(f"SHOWN")
                        break
            """,
            "filtering": """
                from itertools import product
                names = LISTED
                worlds = [dict(zip(names, w)) for w in product([True, False], repeat=COUNT)]
                SIEVES
                print(", and ".join(f"{n} is a {'KNIGHT' if worlds[0][n] else 'LIAR'}" for n in names))
            """,
        },
        knight=knight,
        liar=liar,
        names=", ".join(names),
        count=len(names),
        claims=" and ".join(f"{name} == ({claim})" for name, claim in claims),
        shown=", ".join(shown[:-1]) + f", and {shown[-1]}",
        listed=literal(names),
        sieves="\n".join(
            "worlds = [w for w in worlds if "
            + re.sub(rf"\b({'|'.join(names)})\b", r'w["\1"]', f"{name} == ({claim})")
            + "]"
            for name, claim in claims
        ),
    )


def _statements(text: str, names: Sequence[str]) -> dict[str, str]:
    """Who says what."""
    name = f"({'|'.join(names)})"
    quoted, attributed = (
        re.compile(rf'"([^"]+)"[ -]*{name}\b[^".]*\.\s*'),
        re.compile(rf'[^".]*?\b{name}\b[^".]*"([^"]+)"\.?\s*'),
    )
    reported = re.compile(rf"{name} [a-z ]+? that ([^\".]+)\.\s*")
    said = {}
    while text:
        if match := quoted.match(text):
            said[match[2]] = match[1]
        elif match := reported.match(text) or attributed.match(text):
            said[match[1]] = match[2]
        else:
            raise ValueError(f"a statement in an unknown form: {text}")
        text = text[match.end() :]
    return said


def _claim(statement: str, knight: str, liar: str) -> str:
    """A statement in Python. It has brackets wherever two connectives meet."""
    claim = re.sub(rf"(\w+) is an? {liar}\b", r"(not \1)", statement.rstrip(",."))
    claim = re.sub(rf"(\w+) is an? {knight}\b", r"\1", claim)
    claim = claim.replace("if and only if", "==").replace("it is not the case that", "not")
    claim = claim.replace(" then ", " <= ").replace("if ", "")
    return re.sub(r"\((\w+|\(not \w+\))\)", r"\1", claim)


PROGRAMS: Programs = {
    "bf": _bf,
    "course_schedule": _course_schedule,
    "jugs": _jugs,
    "knights_knaves": _knights_knaves,
    "mini_sudoku": _mini_sudoku,
    "quantum_lock": _quantum_lock,
    "self_reference": _self_reference,
    "tower_of_hanoi": _tower_of_hanoi,
}
