"""The task ``combinatorial_calculation``: put operators and brackets between numbers to reach a target."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import expression, tidy
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

TARGETS = ((10, 24), (10, 24, 69), (24, 69, 78), (69, 78, 100))
"""Targets by level; level 0 has three numbers, and each further level one more."""

_EXAMPLE = "(1 + 2) * 3"

_TEXT = """\
Here are {count} numbers in a fixed order: {numbers}

Write one of the operators +, -, *, / between each two neighbouring numbers, and add round brackets wherever you \
like, so that the value of the expression is exactly {target}. Every number is used exactly once and the order stays \
as given. Numbers cannot be joined to form longer ones, and no sign may stand in front of a number or a bracket. \
Division is exact: fractions may occur on the way.

Any expression with the right value counts. Put the final answer between <<< and >>>, as an expression such as \
<<<{example}>>> for the numbers 1, 2, 3 and the target 9."""


class CombinatorialCalculation(Task):
    """Insert operators and brackets between 3 to 6 digits, order fixed, to reach a target; any such expression counts.

    Source: ``combinatorial_calculation`` of SymBench (CodeSteer-v1.0).
    """

    name = "combinatorial_calculation"
    description = "Operators and brackets between given numbers, order fixed, so that a target comes out."
    levels = 4
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        target = rng.choice(TARGETS[level])
        found = None
        while found is None:
            found = _reach(rng, Fraction(target), level + 3)
        text, numbers = found
        return _question(numbers, target, text)

    def check(self, question: Question, answer: str) -> bool:
        text = re.sub(r"""[][,"'`]""", " ", tidy(answer))  # also the published form, a list of tokens
        found = expression(text)
        data = question.metadata
        return (
            found.numbers() == data["numbers"]
            and len(found.operators()) == len(data["numbers"]) - 1  # no signs before a single number
            and found.value() == data["target"]
        )

    def solve(self, question: Question) -> str | None:
        numbers, target = question.metadata["numbers"], question.metadata["target"]
        count = len(numbers)
        table = {(i, i + 1): {Fraction(number): str(number)} for i, number in enumerate(numbers)}
        for length in range(2, count):
            for i in range(count - length + 1):
                values = table[i, i + length] = {}
                for k in range(i + 1, i + length):
                    for x, left in table[i, k].items():
                        for y, right in table[k, i + length].items():
                            values.setdefault(x + y, f"({left} + {right})")
                            values.setdefault(x - y, f"({left} - {right})")
                            values.setdefault(x * y, f"({left} * {right})")
                            if y:
                                values.setdefault(x / y, f"({left} / {right})")
        for k in range(1, count):
            rights = table[k, count]
            for x, left in table[0, k].items():
                wanted = [("+", target - x), ("-", x - target)]
                if x:
                    wanted += [("*", target / x), ("/", x / target)]
                for operator, y in wanted:
                    if y in rights:
                        return f"{left} {operator} {rights[y]}"
        return None

    def programs(self, question: Question) -> Sequence[Program]:
        head = f"numbers = {list(question.metadata['numbers'])}\ntarget = {question.metadata['target']}\n"
        return [Program(style, f"{head}\n{code}") for style, code in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        return (f"[{', '.join(re.findall(r'[0-9]+|[-+*/()]', question.answer))}]", question.answer.replace(" ", ""))


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; the answer is its list of tokens."""
    params = record["params"]
    answer = f"[{', '.join(params['solution'])}]"
    return in_upstream_words(_question(params["numbers"], params["target"], answer), record["question"])


def _question(numbers: Sequence[int], target: int, answer: str) -> Question:
    text = _TEXT.format(count=len(numbers), numbers=", ".join(map(str, numbers)), target=target, example=_EXAMPLE)
    return Question(text=text, answer=answer, metadata={"numbers": list(numbers), "target": target}, example=_EXAMPLE)


def _random_tree(rng: random.Random, count: int) -> tuple[Fraction, str, list[int]] | None:
    """A random expression over ``count`` digits with its value, or None if it divides by zero."""
    if count == 1:
        digit = rng.randint(1, 9)
        return Fraction(digit), str(digit), [digit]
    size = rng.randrange(1, count)
    left, right = _random_tree(rng, size), _random_tree(rng, count - size)
    operator = rng.choice("+-*/")
    if not left or not right or (operator == "/" and not right[0]):
        return None
    x, y = left[0], right[0]
    value = x + y if operator == "+" else x - y if operator == "-" else x * y if operator == "*" else x / y
    return value, f"({left[1]} {operator} {right[1]})", left[2] + right[2]


def _reach(rng: random.Random, value: Fraction, count: int, outer: bool = True) -> tuple[str, list[int]] | None:
    """A random expression over ``count`` digits with this value, or None if this attempt fails.

    One side of the outermost operator is drawn at random; the value that the other side must have follows.
    """
    if count == 1:
        return (str(value), [int(value)]) if value in range(1, 10) else None
    size = rng.randrange(1, count)
    operator = rng.choice("+-*/")
    left_known = rng.random() < 0.5
    known = _random_tree(rng, size if left_known else count - size)
    if not known or not known[0] or not value:
        return None
    v = known[0]
    if operator == "+":
        wanted = value - v
    elif operator == "-":
        wanted = v - value if left_known else value + v
    elif operator == "*":
        wanted = value / v
    else:
        wanted = v / value if left_known else value * v
    other = _reach(rng, wanted, count - size if left_known else size, outer=False)
    if not other:
        return None
    left, right = (known[1:], other) if left_known else (other, known[1:])
    text = f"{left[0]} {operator} {right[0]}"
    return text if outer else f"({text})", left[1] + right[1]


_PROGRAMS = {
    "recursive": """\
from fractions import Fraction

def build(i, j):
    if j - i == 1:
        yield Fraction(numbers[i]), str(numbers[i])
    for k in range(i + 1, j):
        for x, left in build(i, k):
            for y, right in build(k, j):
                yield x + y, f"({left} + {right})"
                yield x - y, f"({left} - {right})"
                yield x * y, f"({left} * {right})"
                if y:
                    yield x / y, f"({left} / {right})"

print(next(text for value, text in build(0, len(numbers)) if value == target))
""",
    "dynamic_programming": """\
from fractions import Fraction

n = len(numbers)
table = {(i, i + 1): {Fraction(numbers[i]): str(numbers[i])} for i in range(n)}
for length in range(2, n + 1):
    for i in range(n - length + 1):
        j = i + length
        table[i, j] = {}
        for k in range(i + 1, j):
            for x, left in table[i, k].items():
                for y, right in table[k, j].items():
                    values = [(x + y, "+"), (x - y, "-"), (x * y, "*")] + ([(x / y, "/")] if y else [])
                    for value, op in values:
                        table[i, j].setdefault(value, f"({left} {op} {right})")
print(table[0, n][target])
""",
    "reduction": """\
from fractions import Fraction

seen = set()

def search(terms):
    key = tuple(value for value, _ in terms)
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    if key in seen:
        return None
    seen.add(key)
    for i in range(len(terms) - 1):
        (x, a), (y, b) = terms[i:i + 2]
        for value, op in [(x + y, "+"), (x - y, "-"), (x * y, "*")] + ([(x / y, "/")] if y else []):
            found = search(terms[:i] + [(value, f"({a} {op} {b})")] + terms[i + 2:])
            if found:
                return found

print(search([(Fraction(number), str(number)) for number in numbers]))
""",
}
