"""The task ``string_synthesis``: blocks are combined into other blocks until nothing more can be combined."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import integers
from r1ci_tasks_symbench import exchanges
from r1ci_tasks_symbench.wording import in_upstream_words

COUNTS = ((1, 4), (3, 8), (6, 14), (12, 25))
"""Least and greatest number of blocks of a kind, by level."""

KINDS = ("[A]", "[B]", "[C]", "{A}", "{B}", "{C}", "(A)", "(B)", "(C)")

METHODS = (
    exchanges.method({"[A]": 1, "[B]": 1, "[C]": 1}, {"{A}": 1}),
    exchanges.method({"[A]": 1, "[B]": 1}, {"{C}": 1}),
    exchanges.method({"[B]": 1, "[C]": 1}, {"{B}": 1}),
    exchanges.method({"[C]": 2}, {"{C}": 1}),
    exchanges.method({"{A}": 1, "{C}": 1}, {"(A)": 1, "(B)": 1}),
    exchanges.method({"{B}": 2}, {"(C)": 1}),
)

_EXAMPLE = "1, 1, 1, 1, 1, 1, 1, 1, 1"  # never a final state: [A], [B] and [C] combine
_NUMBERS = {"one": 1, "two": 2, "three": 3}

_TEXT = """\
There are nine kinds of blocks: [A], [B], [C], {{A}}, {{B}}, {{C}}, (A), (B) and (C). Blocks combine by these rules:

{rules}

At each step, the first rule of the list for which there are enough blocks is applied once; then the list is looked \
through from its beginning again. This goes on until no rule can be applied.

At the start there are {start}, and no other blocks. How many blocks of each kind are there at the end? Put the nine \
numbers between <<< and >>>, in the order [A], [B], [C], {{A}}, {{B}}, {{C}}, (A), (B), (C) and in the form \
<<<{example}>>>"""


class StringSynthesis(Task):
    """Combine blocks by six rules, always the first that is possible; count what is left at the end.

    Source: ``string_synthesis`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "string_synthesis"
    description = "Counts of blocks after six rules of combination were applied in the stated order."
    levels = len(COUNTS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        start = [rng.randint(*COUNTS[level]) for _ in "ABC"]
        return _question(start, rng.sample(METHODS, len(METHODS)))

    def check(self, question: Question, answer: str) -> bool:
        data = question.metadata
        return integers(answer) == exchanges.first_possible(data["kinds"], data["start"], data["methods"])

    def solve(self, question: Question) -> str:
        data = question.metadata
        return str(exchanges.by_vectors(data["start"], data["kinds"], data["methods"], restart=True))

    def programs(self, question: Question) -> Sequence[Program]:
        return exchanges.programs(question.metadata, restart=True)


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record, with the rules in the order in which its text, if any, states them."""
    start = [record["params"][f"{letter}_count"] for letter in "ABC"]
    stated = re.findall(r"^\d+\. (.+) can be combined to form (.+)\.\s*$", record["question"] or "", re.M)
    methods = [exchanges.method(_blocks(give), _blocks(get)) for give, get in stated] or METHODS
    answer = ", ".join(str(number) for number in record["solution"])
    return in_upstream_words(_question(start, methods, answer), record["question"])


def _blocks(text: str) -> dict[str, int]:
    return {kind: _NUMBERS[number.lower()] for number, kind in re.findall(r"(\w+) ([\[{(][ABC][\]})])", text)}


def _question(blocks: Sequence[int], methods: Sequence[exchanges.Method], answer: str | None = None) -> Question:
    start = [*blocks, *[0] * 6]
    rules = "\n".join(
        f"{k}. {_named(each['give'])} become {_named(each['get'])}." for k, each in enumerate(methods, 1)
    )
    return Question(
        text=_TEXT.format(rules=rules, start=_named(dict(zip(KINDS, blocks, strict=False))), example=_EXAMPLE),
        answer=answer or ", ".join(map(str, exchanges.first_possible(KINDS, start, methods))),
        metadata={"kinds": list(KINDS), "start": start, "methods": list(methods)},
        example=_EXAMPLE,
    )


def _named(blocks: Mapping[str, int]) -> str:
    return " and ".join(f"{number} {kind}" for kind, number in blocks.items())
