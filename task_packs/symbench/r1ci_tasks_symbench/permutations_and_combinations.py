"""The task ``permutations_and_combinations``: put books on a shelf so that all conditions hold."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import items
from r1ci_tasks_symbench.wording import in_upstream_words

BOOKS = (5, 6, 7, 8, 9)
"""Number of books, by level; there are one or two more conditions than books."""

Constraint = Sequence[Any]
"""``[kind, book, other]``, other being a book, or a position counted from 1."""

_SENTENCES = {
    "next": "{} stands directly beside {}.",
    "left": "{} stands somewhere to the left of {}.",
    "right": "{} stands somewhere to the right of {}.",
    "at": "{} is at position {}.",
    "not at": "{} is not at position {}.",
}

_EXAMPLE = '["Z", "Y", "X"]'

_TEXT = """\
The {number} books {books} go on a shelf with the positions 1 to {number}, from left to right, one book at each \
position. These conditions must hold:

{conditions}

Find an order of the books that meets all conditions; if there are several, any will do. Put the books from left to \
right between <<< and >>>, as a list in the form <<<{example}>>>"""

_PUBLISHED = {
    "next": r"must be adjacent to book (\w+)",
    "left": r"must be to the left of book (\w+)",
    "right": r"must be to the right of book (\w+)",
    "at": r"must be placed in position (\d+)",
    "not at": r"cannot be placed in position (\d+)",
}


class PermutationsAndCombinations(Task):
    """Order 5 to 9 books under conditions on their neighbours, sides and positions.

    Source: ``permutations_and_combinations`` of SymBench (CodeSteer-v1.0). Any order that meets the conditions counts.
    """

    name = "permutations_and_combinations"
    description = "An order of books on a shelf that meets all conditions."
    levels = len(BOOKS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        number = BOOKS[self.level(rng, difficulty)]
        books = list(ascii_uppercase[:number])
        order = rng.sample(books, number)
        true = [c for c in _all_constraints(books) if _holds(c, order)]
        # A condition of each kind in turn, so that the many about positions do not crowd out the others.
        pools = {kind: [c for c in true if c[0] == kind] for kind in _SENTENCES}
        kinds = ["at"] + [rng.choice(["next", "left", "right", "not at"]) for _ in range(number + rng.randint(0, 1))]
        chosen: list[Constraint] = []
        for kind in kinds:
            chosen.append(rng.choice([c for c in pools[kind] if c not in chosen] or pools["left"]))
        rng.shuffle(chosen)
        return _question(books, chosen, order)

    def check(self, question: Question, answer: str) -> bool:
        order = [re.sub(r"(?i)^book\s+", "", item).upper() for item in items(answer)]
        if sorted(order) != sorted(question.metadata["books"]):
            return False
        return all(_holds(constraint, order) for constraint in question.metadata["constraints"])

    def solve(self, question: Question) -> str | None:
        order = _search(question.metadata["books"], question.metadata["constraints"])
        return json.dumps(order) if order else None

    def programs(self, question: Question) -> Sequence[Program]:
        tests = " and ".join(_expression(*constraint) for constraint in question.metadata["constraints"])
        books = question.metadata["books"]
        return [
            Program(style, code.format(books=list(books), tests=tests, number=len(books)))
            for style, code in _PROGRAMS.items()
        ]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record: ``params`` has ``items`` and ``constraints_text``, one a line."""
    params = record["params"]
    constraints = [_read(line) for line in params["constraints_text"].splitlines() if line.strip()]
    return in_upstream_words(_question(params["items"], constraints, record["solution"]), record["question"])


def _read(line: str) -> Constraint:
    for kind, pattern in _PUBLISHED.items():
        if match := re.search(rf"Book (\w+) {pattern}", line):
            return [kind, match[1], int(match[2]) if match[2].isdigit() else match[2]]
    raise ValueError(f"not a condition on books: {line[:80]!r}")


def _question(books: Sequence[str], constraints: Sequence[Constraint], order: Sequence[str]) -> Question:
    conditions = "\n".join(f"- {_SENTENCES[kind].format(book, other)}" for kind, book, other in constraints)
    return Question(
        text=_TEXT.format(number=len(books), books=", ".join(books), conditions=conditions, example=_EXAMPLE),
        answer=json.dumps(order),
        metadata={"books": list(books), "constraints": [list(constraint) for constraint in constraints]},
        example=_EXAMPLE,
    )


def _all_constraints(books: Sequence[str]) -> list[Constraint]:
    positions = range(1, len(books) + 1)
    pairs = [[kind, a, b] for kind in ("next", "left", "right") for a in books for b in books if a != b]
    return pairs + [[kind, book, place] for kind in ("at", "not at") for book in books for place in positions]


def _holds(constraint: Constraint, order: Sequence[str]) -> bool:
    kind, book, other = constraint
    place = order.index(book) + 1
    if kind in ("at", "not at"):
        return (place == other) == (kind == "at")
    distance = order.index(other) + 1 - place
    return abs(distance) == 1 if kind == "next" else distance > 0 if kind == "left" else distance < 0


def _search(books: Sequence[str], constraints: Sequence[Constraint], order: Sequence[str] = ()) -> list[str] | None:
    """The first full order that begins with ``order``, placed from left to right."""
    due = [c for c in constraints if order and order[-1] in c and (c[2] not in books or {c[1], c[2]} <= {*order})]
    if not all(_holds(c, order) for c in due):
        return None
    if len(order) == len(books):
        return list(order)
    tries = (_search(books, constraints, [*order, book]) for book in books if book not in order)
    return next((found for found in tries if found), None)


def _expression(kind: str, book: str, other: object) -> str:
    """A condition as Python, ``p`` holding the positions of the books."""
    place = f"p[{book!r}]"
    return {
        "next": f"abs({place} - p[{other!r}]) == 1",
        "left": f"{place} < p[{other!r}]",
        "right": f"{place} > p[{other!r}]",
        "at": f"{place} == {other!r}",
        "not at": f"{place} != {other!r}",
    }[kind]


_PROGRAMS = {
    "brute_force": """\
from itertools import permutations
import json

for order in permutations({books}):
    p = {{book: i for i, book in enumerate(order, 1)}}
    if {tests}:
        print(json.dumps(order))
        break
""",
    "function": """\
from itertools import permutations
import json


def fits(p):
    return {tests}


books = {books}
orders = (dict(zip(books, places)) for places in permutations(range(1, {number} + 1)))
p = next(p for p in orders if fits(p))
print(json.dumps(sorted(books, key=p.get)))
""",
    "random_search": """\
import json
import random

order = {books}
p = {{book: i for i, book in enumerate(order, 1)}}
while not ({tests}):
    random.shuffle(order)
    p = {{book: i for i, book in enumerate(order, 1)}}
print(json.dumps(order))
""",
}
