"""SymBench ``game24``: make 24 from four integers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.wording import in_upstream_words

_TARGET = 24
_LARGEST = (9, 13, 25)  # by level
_EXAMPLE = "(9 - 1) * 3"  # three numbers, never four

_PROGRAMS = {
    "brute_force": """\
from fractions import Fraction
from itertools import permutations, product

shapes = ["(({}{}{}){}{}){}{}", "({}{}({}{}{})){}{}", "({}{}{}){}({}{}{})", "{}{}(({}{}{}){}{})", "{}{}({}{}({}{}{}))"]


def find():
    for a, b, c, d in permutations(numbers):
        for p, q, r in product("+-*/", repeat=3):
            for shape in shapes:
                exact = [f"Fraction({n})" for n in (a, b, c, d)]
                try:
                    value = eval(shape.format(exact[0], p, exact[1], q, exact[2], r, exact[3]))
                except ZeroDivisionError:
                    continue
                if value == 24:
                    return shape.format(a, p, b, q, c, r, d)


print(find())
""",
    "recursive": """\
from fractions import Fraction


def search(terms):
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == 24 else None
    for i in range(len(terms)):
        for j in range(len(terms)):
            if i != j:
                (x, a), (y, b) = terms[i], terms[j]
                rest = [terms[k] for k in range(len(terms)) if k not in (i, j)]
                made = [(x + y, f"({a} + {b})"), (x - y, f"({a} - {b})"), (x * y, f"({a} * {b})")]
                if y:
                    made.append((x / y, f"({a} / {b})"))
                for term in made:
                    found = search([term] + rest)
                    if found:
                        return found


print(search([(Fraction(n), str(n)) for n in numbers]))
""",
    "dynamic_programming": """\
from fractions import Fraction

# reachable[subset] maps each value that the numbers of the subset make to an expression.
reachable = {1 << i: {Fraction(n): str(n)} for i, n in enumerate(numbers)}
full = (1 << len(numbers)) - 1
for subset in range(1, full + 1):
    values = reachable.setdefault(subset, {})
    left = (subset - 1) & subset
    while left:
        for x, a in reachable[left].items():
            for y, b in reachable[subset - left].items():
                values.setdefault(x + y, f"({a} + {b})")
                values.setdefault(x - y, f"({a} - {b})")
                values.setdefault(x * y, f"({a} * {b})")
                if y:
                    values.setdefault(x / y, f"({a} / {b})")
        left = (left - 1) & subset
print(reachable[full][Fraction(24)])
""",
}


class Game24(Task):
    """Use each of four integers exactly once with + - * / and brackets to make 24, in exact arithmetic.

    Source: SymBench (CodeSteer-v1.0), ``game24``.
    """

    name = "game24"
    description = "Make 24 from four integers with the four operations."
    levels = len(_LARGEST)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        largest = _LARGEST[self.level(rng, difficulty)]
        while True:
            numbers = sorted(rng.randint(1, largest) for _ in range(4))
            if (answer := _search([(number, 1, str(number)) for number in numbers])) is not None:
                return _question(numbers, answer)

    def check(self, question: Question, answer: str) -> bool:
        text, equals, right = answers.tidy(answer).partition("=")
        target = question.metadata["target"]
        if equals and answers.number(right) != target:
            return False
        expression = answers.expression(text)
        used = sorted(expression.numbers())
        return used == sorted(map(Fraction, question.metadata["numbers"])) and expression.value() == target

    def solve(self, question: Question) -> str | None:
        return _solution(question.metadata["numbers"], question.metadata["target"])

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"numbers = {question.metadata['numbers']}\n"
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        typeset = question.answer.replace("*", "×").replace("/", "÷")
        return [f"{question.answer} = 24", question.answer.replace(" ", ""), typeset]


def _search(terms: list[tuple[int, int, str]]) -> str | None:
    """An expression over all terms (numerator, denominator, text) that makes 24, or None.

    Pairs of integers instead of Fraction: this decides how fast questions are made.
    """
    if len(terms) == 1:
        numerator, denominator, text = terms[0]
        return text if numerator == _TARGET * denominator else None
    for i, j in combinations(range(len(terms)), 2):
        (a, b, left), (c, d, right) = terms[i], terms[j]
        rest = [term for k, term in enumerate(terms) if k != i and k != j]
        made = [
            (a * d + c * b, b * d, f"({left} + {right})"),
            (a * c, b * d, f"({left} * {right})"),
            (a * d - c * b, b * d, f"({left} - {right})"),
            (c * b - a * d, b * d, f"({right} - {left})"),
        ]
        if c:
            made.append((a * d, b * c, f"({left} / {right})"))
        if a:
            made.append((c * b, d * a, f"({right} / {left})"))
        for term in made:
            if (found := _search([*rest, term])) is not None:
                return found
    return None


def _solution(numbers: Sequence[int], target: int) -> str | None:
    """An expression that makes the target, or None. Also None for more than four numbers, which takes too long."""
    if len(numbers) > 4:
        return None
    return next(_expressions([(Fraction(number), str(number)) for number in numbers], Fraction(target)), None)


def _expressions(terms: list[tuple[Fraction, str]], target: Fraction) -> Iterator[str]:
    """Expressions over all terms that make the target, searched for backwards from the target."""
    if len(terms) == 1:
        if terms[0][0] == target:
            yield terms[0][1]
        return
    # Every split of the terms in two non-empty parts; the values of the smaller part fix what the other must make.
    indices = range(len(terms))
    for size in range(1, len(terms) // 2 + 1):
        for part in combinations(indices, size):
            small = [terms[i] for i in part]
            large = [terms[i] for i in indices if i not in part]
            for value, text in _values(small):
                for needed, form in _needed(value, target):
                    for other in _expressions(large, needed):
                        yield form(text, other)


def _values(terms: list[tuple[Fraction, str]]) -> list[tuple[Fraction, str]]:
    """Every value that one or two terms make."""
    if len(terms) == 1:
        return terms
    (x, a), (y, b) = terms
    made = [(x + y, f"({a}+{b})"), (x - y, f"({a}-{b})"), (y - x, f"({b}-{a})"), (x * y, f"({a}*{b})")]
    if y:
        made.append((x / y, f"({a}/{b})"))
    if x:
        made.append((y / x, f"({b}/{a})"))
    return made


def _needed(value: Fraction, target: Fraction) -> Iterator[tuple[Fraction, Callable[[str, str], str]]]:
    """What the other operand must be, and how the two are written then."""
    yield target - value, lambda a, b: f"({a}+{b})"
    yield value - target, lambda a, b: f"({a}-{b})"
    yield target + value, lambda a, b: f"({b}-{a})"
    if value:
        yield target / value, lambda a, b: f"({a}*{b})"
        yield target * value, lambda a, b: f"({b}/{a})"
        if target:
            yield value / target, lambda a, b: f"({a}/{b})"


def _question(numbers: Sequence[int], answer: str, target: int = _TARGET) -> Question:
    shown = ", ".join(map(str, numbers))
    return Question(
        text=f"Combine the numbers {shown} with +, -, * and / to make {target}. Use every number exactly once, as "
        "often as it is listed, in any order; no other number, no other operation, no joining of digits. Brackets are "
        "allowed; division is exact, so intermediate results may be fractions.\n"
        f"Give one arithmetic expression between <<< and >>>, in the form <<<{_EXAMPLE}>>>.",
        answer=answer,
        metadata={"numbers": list(numbers), "target": target},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``numbers`` (``target`` too if it is not 24), ``solution`` an equation.

    Raises:
        ValueError: If there is no solution and none is found for up to four numbers.
    """
    numbers, target = [int(number) for number in record["params"]["numbers"]], record["params"].get("target", _TARGET)
    answer = record["solution"] or _solution(numbers, target)
    if answer is None:
        raise ValueError(f"no way is known to make {target} from {numbers}")
    ours = _question(numbers, answer, target)
    return in_upstream_words(ours, record["question"])
