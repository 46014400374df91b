"""boolean_expressions: the value of an expression in True, False, and, or, not."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import TRUE_FALSE
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask, problem_text

_EXPRESSION = re.compile(r"(?:(?:True|False|and|or|not)\b|[()]| )+")


class BooleanExpressions(BbhTask):
    """Questions are made from a value and solved by rewriting."""

    name = "boolean_expressions"
    description = "Evaluate a Boolean expression."
    capability = "execution"
    form = TRUE_FALSE

    def make(self, rng: random.Random, level: int) -> Problem:
        leaves = rng.randint(*((3, 4), (5, 6), (7, 10))[level])
        wanted = rng.random() < 0.5
        while True:
            text, value = _tree(rng, leaves)
            if value is wanted:
                break
        stem = (
            "What is the value of this Boolean expression? Parentheses come first, then not, then and, then or.\n"
            f"{text} ="
        )
        return Problem(stem, str(value))

    def solution(self, text: str) -> str | None:
        expression = _expression(text)
        return None if expression is None else _rewrite(expression)

    def programs(self, question: Question) -> Sequence[Program]:
        expression = _expression(problem_text(question))
        if expression is None:
            return ()
        return (
            Program("direct", f"print({expression})\n"),
            Program("rewriting", _REWRITING.format(expression=expression)),
            Program("parser", _PARSER.format(expression=expression)),
        )


def _tree(rng: random.Random, leaves: int, strength: int = 0) -> tuple[str, bool]:
    """A random expression and its value; an operator weaker than ``strength`` (or 0, and 1, not 2) is bracketed."""
    if rng.random() < 0.3:
        text, value = _tree(rng, leaves, 2)
        return f"not {text}", not value
    if leaves == 1:
        leaf = rng.random() < 0.5
        return (f"( {leaf} )" if rng.random() < 0.15 else str(leaf)), leaf
    mine = rng.randrange(2)
    left = rng.randint(1, leaves - 1)
    a, x = _tree(rng, left, mine)
    b, y = _tree(rng, leaves - left, mine)
    text, value = (f"{a} and {b}", x and y) if mine else (f"{a} or {b}", x or y)
    return (f"( {text} )" if mine < strength else text), value


def _expression(text: str) -> str | None:
    runs = [run.strip() for run in _EXPRESSION.findall(text)]
    found = max(runs, key=len, default="")
    return found if re.search("True|False", found) else None


def _rewrite(expression: str) -> str | None:
    """Apply rules of rewriting, strongest operator first, until one constant is left; None if it never is."""
    text = expression.replace("True", "1").replace("False", "0").replace("and", "&").replace("or", "|")
    text = text.replace("not", "!").replace(" ", "")
    rules = ((r"\((\d)\)", r"\1"), ("!1", "0"), ("!0", "1"), ("1&1", "1"), (r"\d&\d", "0"))
    while len(text) > 1:
        for pattern, value in rules:
            shorter = re.sub(pattern, value, text, count=1)
            if shorter != text:
                break
        else:
            # No rule above applies, so no "and" is left beside two constants: an "or" between them is next.
            shorter = re.sub(r"(?<![&!])(\d)\|(\d)(?!&)", lambda m: max(m[1], m[2]), text, count=1)
            if shorter == text:
                return None
        text = shorter
    return {"1": "True", "0": "False"}.get(text)


_REWRITING = """\
import re

expression = "{expression}"


def flat(text):
    # A disjunction of conjunctions of constants, each behind any number of "not".
    def literal(words):
        return (words[-1] == "True") != (words.count("not") % 2 == 1)

    return any(all(literal(part.split()) for part in clause.split(" and ")) for clause in text.split(" or "))


while "(" in expression:
    expression = re.sub(r"\\(([^()]*)\\)", lambda inner: str(flat(inner[1])), expression)
print(flat(expression))
"""

_PARSER = """\
tokens = "{expression}".replace("(", " ( ").replace(")", " ) ").split()


def disjunction():
    value = conjunction()
    while tokens and tokens[0] == "or":
        tokens.pop(0)
        right = conjunction()
        value = value or right
    return value


def conjunction():
    value = negation()
    while tokens and tokens[0] == "and":
        tokens.pop(0)
        right = negation()
        value = value and right
    return value


def negation():
    token = tokens.pop(0)
    if token == "not":
        return not negation()
    if token == "(":
        value = disjunction()
        tokens.pop(0)
        return value
    return token == "True"


print(disjunction())
"""
