"""The task ``string_splitting``: machines are taken apart and joined into parts until no method is possible."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import integers
from r1ci_tasks_symbench import exchanges
from r1ci_tasks_symbench.wording import in_upstream_words

COUNTS = ((0, 6), (3, 12), (8, 20), (15, 35))
"""Least and greatest number of machines of a kind, by level."""

KINDS = ("A", "B", "C", "X", "Y", "Z")

METHODS = (
    exchanges.method({"A": 1}, {"X": 2, "Y": 1}),
    exchanges.method({"B": 2}, {"X": 1}),
    exchanges.method({"C": 2}, {"Y": 1}),
    exchanges.method({"B": 1, "C": 1}, {"A": 1}),
    exchanges.method({"X": 1, "Y": 1}, {"Z": 1}),
)

_EXAMPLE = "1, 1, 1, 1, 1, 1"  # never a final state: method 1 is possible

_TEXT = """\
A workshop has old machines A, B and C and makes parts X, Y and Z of them. It knows five methods:

1. Take apart one machine A: this gives two parts X and one part Y.
2. Take apart two machines B: this gives one part X.
3. Take apart two machines C: this gives one part Y.
4. Join one machine B and one machine C: this gives one machine A.
5. Join one part X and one part Y: this gives one part Z.

The methods take turns in the order 1, 2, 3, 4, 5, 1, 2, and so on. At its turn, a method is carried out once if \
there is enough for it, and skipped otherwise. Work ends when no method is possible any more.

At the start there are {0} machines A, {1} machines B and {2} machines C, and no parts. How many machines A, B, C and \
parts X, Y, Z are there at the end? Put the six numbers, in this order, between <<< and >>>, in the form \
<<<{example}>>>"""


class StringSplitting(Task):
    """Five methods take turns to make parts X, Y, Z of machines A, B, C; count what is left at the end.

    Source: ``string_splitting`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "string_splitting"
    description = "Counts of machines and parts after five methods were carried out in turn."
    levels = len(COUNTS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        start = [rng.randint(*COUNTS[level]) for _ in "ABC"]
        return _question(start if any(start) else [1, 2, 3])

    def check(self, question: Question, answer: str) -> bool:
        data = question.metadata
        return integers(answer) == exchanges.cycled(data["kinds"], data["start"], data["methods"])

    def solve(self, question: Question) -> str:
        data = question.metadata
        return str(exchanges.by_vectors(data["start"], data["kinds"], data["methods"], restart=False))

    def programs(self, question: Question) -> Sequence[Program]:
        return exchanges.programs(question.metadata, restart=False)


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; the numbers of machines stand only in its text."""
    start = [
        re.search(rf"(\d+) units? of Machine {kind}", record["question"].partition("Initially")[2]) for kind in "ABC"
    ]
    answer = ", ".join(str(number) for number in record["solution"])
    return in_upstream_words(_question([int(found[1]) for found in start if found], answer), record["question"])


def _question(machines: Sequence[int], answer: str | None = None) -> Question:
    start = [*machines, 0, 0, 0]
    return Question(
        text=_TEXT.format(*machines, example=_EXAMPLE),
        answer=answer or ", ".join(map(str, exchanges.cycled(KINDS, start, METHODS))),
        metadata={"kinds": list(KINDS), "start": start, "methods": list(METHODS)},
        example=_EXAMPLE,
    )
