"""penguins_in_a_table: questions about a small table and its changes."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, letter_of, with_shuffled_options
from r1ci_tasks_bbh.task import BbhTask

_LIST = """
Agnes Basil Cora Dexter Edith Flora Gilbert Hazel Igor Jasper Kurt Lydia Magnus Nelly Otto Pearl Quentin Rufus Selma
Tobias Ursula Victor Wilma Yvonne Zelda
"""
_NAMES = tuple(_LIST.split())
_COLUMNS = ("age", "height", "weight")
_UNITS = {"age": "years", "height": "cm", "weight": "kg"}
_SUPERLATIVES = {
    "oldest": ("age", True),
    "youngest": ("age", False),
    "tallest": ("height", True),
    "smallest": ("height", False),
    "heaviest": ("weight", True),
    "lightest": ("weight", False),
}
_OPENING = "This table lists penguins."
_HEADER = "name, age (years), height (cm), weight (kg)"


class Animal(NamedTuple):
    """One row of a table."""

    name: str
    age: int
    height: int
    weight: int

    def line(self) -> str:
        """The row as the problem writes it."""
        return ", ".join(str(cell) for cell in self)


class PenguinsInATable(BbhTask):
    """Questions are made from rows and solved from the text."""

    name = "penguins_in_a_table"
    description = "Answer a question about a table of penguins that changes."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        names = rng.sample(_NAMES, 14)
        size = rng.randint(4, 4 + level)
        *penguins, newcomer = _animals(rng, names[: size + 1], (40, 95), (8, 40))
        parts = [_OPENING, _HEADER, *(penguin.line() for penguin in penguins)]
        if level and rng.random() < 0.7:
            penguins.append(newcomer)
            parts.append(f"Another penguin joins them:\n{newcomer.line()}")
        if level and rng.random() < 0.7:
            gone = penguins.pop(rng.randrange(len(penguins)))
            parts.append(f"Then {gone.name} leaves, and its row is struck out.")
        animals, kind = penguins, "penguin"
        if level == 2 and rng.random() < 0.6:
            walruses = _animals(rng, names[8:12], (110, 170), (600, 1400))
            parts += ["A second table lists walruses.", _HEADER, *(walrus.line() for walrus in walruses)]
            if rng.random() < 0.4:
                animals, kind = walruses, "walrus"
        question, right, wrong = _question(rng, animals, kind)
        return with_shuffled_options(rng, "\n".join([*parts, question]), [right, *wrong], right)

    def solution(self, text: str) -> str | None:
        body, _, _ = text.partition("\nOptions:")
        found = _answer(body) if body.startswith(_OPENING) else None
        return None if found is None else letter_of(text, found)


def _animals(
    rng: random.Random, names: Sequence[str], heights: tuple[int, int], weights: tuple[int, int]
) -> list[Animal]:
    """Rows that differ in every column."""
    columns = (rng.sample(range(low, high), len(names)) for low, high in ((1, 26), heights, weights))
    return [Animal(*row) for row in zip(names, *columns, strict=True)]


def _plural(kind: str) -> str:
    return "walruses" if kind == "walrus" else f"{kind}s"


def _question(rng: random.Random, animals: Sequence[Animal], kind: str) -> tuple[str, str, list[str]]:
    """A question about the rows, the right option and three or more wrong ones."""
    column = rng.choice(_COLUMNS)
    values = {animal.name: getattr(animal, column) for animal in animals}
    names = list(values)
    style = rng.randrange(6)
    if style == 0:
        word = rng.choice(list(_SUPERLATIVES))
        column, most = _SUPERLATIVES[word]
        right = sorted(animals, key=lambda animal: getattr(animal, column))[-1 if most else 0].name
        return f"Which {kind} is the {word}?", right, [name for name in names if name != right]
    if style == 1:
        right, word = rng.choice(((min(names), "first"), (max(names), "last")))
        question = f"Whose name comes {word} in the alphabet, among the {_plural(kind)}?"
        return question, right, [name for name in names if name != right]
    if style == 2:
        right = rng.choice(names)
        question = f"Which {kind} has the {column} {values[right]} {_UNITS[column]}?"
        return question, right, [name for name in names if name != right]
    if style == 3:
        limit = rng.choice(sorted(values.values()))
        count = sum(value > limit for value in values.values())
        question = (
            f"How many {_plural(kind)} have a{'n' if column == 'age' else ''} {column} above {limit} {_UNITS[column]}?"
        )
    elif style == 4:
        count = len(animals)
        question = f"How many {_plural(kind)} are there in the end?"
    else:
        count = sum(values.values())
        question = f"What is the sum of the {_plural(kind)}' {column}s, in {_UNITS[column]}?"
        spread = [count + step for step in (-20, -10, -2, -1, 1, 2, 10, 20) if count + step > 0]
        return question, str(count), [str(number) for number in rng.sample(spread, 4)]
    low = rng.randint(max(0, count - 4), count)
    return question, str(count), [str(number) for number in range(low, low + 5) if number != count]


def _answer(text: str) -> str | None:
    """Read the tables and the question from the text."""
    tables: dict[str, dict[str, dict[str, int]]] = {}
    for line in text.splitlines():
        if kind := re.search(r"table lists (\w+)\.", line):
            tables[kind[1]] = {}
        elif row := re.fullmatch(r"(\w+), (\d+), (\d+), (\d+)", line):
            tables[list(tables)[-1]][row[1]] = dict(zip(_COLUMNS, map(int, row.groups()[1:]), strict=True))
        elif gone := re.search(r"Then (\w+) leaves", line):
            del tables["penguins"][gone[1]]
    question = text.splitlines()[-1]
    rows = tables["walruses" if "walrus" in question else "penguins"]
    if asked := re.search(r"is the (\w+)\?", question):
        column, most = _SUPERLATIVES[asked[1]]
        return (max if most else min)(rows, key=lambda name: rows[name][column])
    if asked := re.search(r"comes (first|last) in the alphabet", question):
        return sorted(rows)[0 if asked[1] == "first" else -1]
    if asked := re.search(r"has the (\w+) (\d+)", question):
        return next(name for name, row in rows.items() if row[asked[1]] == int(asked[2]))
    if asked := re.search(r"an? (\w+) above (\d+)", question):
        return str(len([row for row in rows.values() if row[asked[1]] > int(asked[2])]))
    if "are there in the end" in question:
        return str(len(rows))
    if asked := re.search(r"sum of the \w+' (\w+)s", question):
        return str(sum(row[asked[1]] for row in rows.values()))
    return None
