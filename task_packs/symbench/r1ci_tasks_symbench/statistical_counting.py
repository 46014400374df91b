"""The task ``statistical_counting``: the score of the runs of equal letters in a string."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from string import ascii_uppercase
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import integer
from r1ci_tasks_symbench.wording import in_upstream_words

LEVELS = (((5, 12), (2, 2)), ((12, 20), (2, 3)), ((20, 35), (3, 3)), ((35, 50), (3, 4)), ((50, 65), (4, 6)))
"""Lengths of the string and numbers of letters, by level."""

_EXAMPLE = "1000"  # out of reach

_TEXT = """\
Every run of two or more equal letters in a string scores points once, however long it is; a letter that stands alone \
scores nothing. A run is as long as it can be: AAAA is one run. The points for a run:

{rules}

How many points does this string score in total?

{sequence}

Put the total between <<< and >>>, in the form <<<{example}>>>"""


class StatisticalCounting(Task):
    """Add up points for each run of two or more equal letters, the points depending on the letter.

    Source: ``statistical_counting`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "statistical_counting"
    description = "The total score of the runs of equal letters in a string."
    levels = len(LEVELS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        lengths, kinds = LEVELS[self.level(rng, difficulty)]
        letters = ascii_uppercase[: rng.randint(*kinds)]
        length = rng.randint(*lengths)
        sequence = ""
        while len(sequence) < length:
            sequence += rng.choice(letters) * rng.choices((1, 2, 3, 4), (6, 3, 2, 1))[0]
        rules = [{"letter": letter, "score": k, "min_consecutive": 2} for k, letter in enumerate(letters, 1)]
        return _question(sequence[:length], rules)

    def check(self, question: Question, answer: str) -> bool:
        return integer(answer) == _score(question.metadata["sequence"], question.metadata["rules"])

    def solve(self, question: Question) -> str:
        return str(
            sum(
                rule["score"]
                * len(re.findall(f"{rule['letter']}{{{rule['min_consecutive']},}}", question.metadata["sequence"]))
                for rule in question.metadata["rules"]
            )
        )

    def programs(self, question: Question) -> Sequence[Program]:
        points = {rule["letter"]: rule["score"] for rule in question.metadata["rules"]}
        inputs = f"text = {question.metadata['sequence']!r}\npoints = {points!r}\n"
        return [Program(style, inputs + code) for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    ours = _question(record["params"]["sequence"], record["params"]["rules"], str(record["solution"]))
    return in_upstream_words(ours, record["question"])


def _question(sequence: str, rules: Sequence[Mapping[str, Any]], answer: str | None = None) -> Question:
    stated = "\n".join(f"- {rule['letter']}: {rule['score']}" for rule in rules)
    return Question(
        text=_TEXT.format(rules=stated, sequence=sequence, example=_EXAMPLE),
        answer=str(_score(sequence, rules)) if answer is None else answer,
        metadata={"sequence": sequence, "rules": [dict(rule) for rule in rules]},
        example=_EXAMPLE,
    )


def _score(sequence: str, rules: Sequence[Mapping[str, Any]]) -> int:
    runs = [(letter, len(list(run))) for letter, run in groupby(sequence)]
    by_letter = {rule["letter"]: rule for rule in rules}
    return sum(
        by_letter[letter]["score"]
        for letter, length in runs
        if letter in by_letter and length >= by_letter[letter]["min_consecutive"]
    )


_PROGRAMS = {
    "direct": """\
total = 0
i = 0
while i < len(text):
    j = i
    while j < len(text) and text[j] == text[i]:
        j += 1
    if j - i >= 2:
        total += points[text[i]]
    i = j
print(total)
""",
    "function": """\
def score(text):
    total = 0
    for i in range(1, len(text)):
        starts_here = i == 1 or text[i - 2] != text[i - 1]
        if text[i] == text[i - 1] and starts_here:
            total += points[text[i]]
    return total


print(score(text))
""",
    "library": """\
from itertools import groupby

print(sum(points[letter] for letter, run in groupby(text) if len(list(run)) >= 2))
""",
    "regular_expression": """\
import re

print(sum(points[match[1]] for match in re.finditer(r"(.)\\1+", text)))
""",
}
