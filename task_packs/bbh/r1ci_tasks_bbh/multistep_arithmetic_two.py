"""multistep_arithmetic_two: bracketed sums and products of small integers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_plugins.tasks.answers import Unreadable, expression
from r1ci_tasks_bbh.forms import INTEGER
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask, problem_text


class MultistepArithmeticTwo(BbhTask):
    """Questions are made by folding products, then sums, and solved by the framework's parser of arithmetic."""

    name = "multistep_arithmetic_two"
    description = "Work out a bracketed expression of one-digit integers."
    capability = "execution"
    form = INTEGER

    def make(self, rng: random.Random, level: int) -> Problem:
        groups, size = ((2, 3), (2, 4), (3, 4))[level]
        brackets = [[(rng.choice("+-*"), rng.randint(-9, 9)) for _ in range(size)] for _ in range(groups)]
        text, value = _bracket(brackets[0])
        for terms in brackets[1:]:
            operator = rng.choice("+-*")
            right, operand = _bracket(terms)
            text, value = f"({text} {operator} {right})", _apply(operator, value, operand)
        return Problem(f"Work this out, products before sums and differences:\n{text} =", str(value))

    def solution(self, text: str) -> str | None:
        formula = _formula(text)
        if formula is None:
            return None
        try:
            return str(expression(formula).value())
        except Unreadable:
            return None

    def programs(self, question: Question) -> Sequence[Program]:
        formula = _formula(problem_text(question))
        if formula is None:
            return ()
        return (
            Program("direct", f"print({formula})\n"),
            Program("stepwise", _stepwise(formula)),
            Program("parser", _PARSER.format(formula=formula)),
        )


def _bracket(terms: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """A bracket of terms, each with the operator before it (the first one's is not used), and its value."""
    numbers = [number for _, number in terms]
    sums = [numbers[0]]
    for operator, number in terms[1:]:
        if operator == "*":
            sums[-1] *= number
        else:
            sums.append(number if operator == "+" else -number)
    text = str(numbers[0]) + "".join(f" {operator} {number}" for operator, number in terms[1:])
    return f"({text})", sum(sums)


def _apply(operator: str, left: int, right: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def _formula(text: str) -> str | None:
    runs = [run.strip() for run in re.findall(r"[-+*()\d ]+", text)]
    found = max(runs, key=len, default="")
    return found if any(character.isdigit() for character in found) else None


def _stepwise(formula: str) -> str:
    """Name the innermost brackets, then combine them."""
    lines: list[str] = []

    def name(match: re.Match[str]) -> str:
        lines.append(f"part_{len(lines) + 1} = {match[1]}")
        return f"part_{len(lines)}"

    rest = re.sub(r"\(([^()]*)\)", name, formula)
    return "\n".join([*lines, f"result = {rest}", "print(result)"]) + "\n"


_PARSER = """\
import re

tokens = re.findall(r"\\d+|[-+*()]", "{formula}")


def total():
    value = product()
    while tokens and tokens[0] in "+-":
        value = value + product() if tokens.pop(0) == "+" else value - product()
    return value


def product():
    value = factor()
    while tokens and tokens[0] == "*":
        tokens.pop(0)
        value *= factor()
    return value


def factor():
    token = tokens.pop(0)
    if token == "-":
        return -factor()
    if token == "(":
        value = total()
        tokens.pop(0)
        return value
    return int(token)


print(total())
"""
