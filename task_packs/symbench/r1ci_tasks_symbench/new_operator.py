"""The task ``new_operator``: evaluate an expression in newly defined operators."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import expression, number, tidy
from r1ci_plugins.tasks.expressions import evaluate
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

Node = str | tuple[str, "Node", "Node"]
"""A number, or an operator with its two operands."""

SHAPES = ((1, 2), (1, 3), (2, 3), (2, 4), (3, 5))
"""New operators and operands, by level."""

_SYMBOLS = "#@&~$"

_DEFINITIONS = (
    "{p}*a*b",
    "{p}*a + {q}*b",
    "{p}*a - {q}*b",
    "a*b + {p}",
    "a*b - a - b",
    "a*a - {p}*b",
    "(a + b)/b",
    "(a + {p}*b)/a",
    "(a + b)/{p}",
)

_LARGEST = 10**7

_EXAMPLE = "p/q"

_TEXT = """\
For numbers a and b, {operators} defined by:

{definitions}

Here +, -, * and / are the usual operations; division is exact.

Calculate {expression}

Put the value between <<< and >>>: as an integer, as a fraction <<<{example}>>> of two integers, or as a decimal \
number that is exact or rounded to at least four decimal places."""


class NewOperator(Task):
    """Evaluate nested brackets of 1 to 3 newly defined operators; the value is an exact fraction.

    Source: ``new_operator`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "new_operator"
    description = "The value of an expression in newly defined operators."
    levels = len(SHAPES)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        operators, operands = SHAPES[level]
        while True:
            symbols = rng.sample(_SYMBOLS, operators)
            definitions = {
                symbol: template.format(p=rng.randint(2, 6), q=rng.randint(2, 6))
                for symbol, template in zip(symbols, rng.sample(_DEFINITIONS, operators), strict=True)
            }
            # Every operator occurs at least once.
            used = symbols + rng.choices(symbols, k=operands - 1 - operators)
            rng.shuffle(used)
            text = _random_expression(rng, used)
            try:
                value = _value(_parse(text, definitions), definitions)
            except ZeroDivisionError:
                continue
            if max(abs(value.numerator), value.denominator) <= _LARGEST:
                return _question(definitions, text, str(value))

    def check(self, question: Question, answer: str) -> bool:
        definitions = question.metadata["definitions"]
        node = _parse(question.metadata["expression"], definitions)
        exact = _value(node, definitions)
        text = re.sub(r"^\[([^][]*)\]$", r"\1", tidy(answer))  # the published form is a list
        value = number(text)
        if value == exact:
            return True
        decimals = re.fullmatch(r"[^./eE]*\.(\d{4,})", tidy(text))
        if not decimals or abs(value - exact) >= 1:
            return False
        # Rounded as it should be, or what floating point makes of it.
        rounded = 2 * abs(value - exact) * 10 ** len(decimals[1]) <= 1
        return rounded or float(value) in (float(exact), _value(node, definitions, float))

    def solve(self, question: Question) -> str | None:
        definitions = question.metadata["definitions"]

        def expand(node: Node) -> str:
            if isinstance(node, str):
                return node
            sides = {"a": expand(node[1]), "b": expand(node[2])}
            return "(" + re.sub("[ab]", lambda match: sides[match[0]], definitions[node[0]]) + ")"

        node = _parse(question.metadata["expression"], definitions)
        return str(expression(expand(node)).value())

    def programs(self, question: Question) -> Sequence[Program]:
        definitions, text = question.metadata["definitions"], question.metadata["expression"]
        names = {symbol: f"op{i}" for i, symbol in enumerate(definitions, 1)}
        node = _parse(text, definitions)
        functions = "".join(
            f"def {names[symbol]}(a, b):  # a {symbol} b\n    return {formula}\n\n"
            for symbol, formula in definitions.items()
        )
        lambdas = "".join(f"    {symbol!r}: lambda a, b: {formula},\n" for symbol, formula in definitions.items())
        exact = "from fractions import Fraction\n\n"
        steps: list[str] = []
        result = _steps(node, names, steps)
        return [
            Program("function", f"{exact}{functions}print({_call(node, names)})\n"),
            Program("steps", f"{exact}{functions}" + "".join(steps) + f"print({result})\n"),
            Program("stack", f"{exact}operators = {{\n{lambdas}}}\npostfix = {_postfix(node)!r}\n{_STACK}"),
            Program("rewriting", f"{exact}operators = {{\n{lambdas}}}\ntext = {text!r}\n{_REWRITING}"),
        ]

    def variations(self, question: Question) -> Sequence[str]:
        value = Fraction(question.answer)
        return (str(float(value)), f"[{value}]") if 10**4 * value % 1 == 0 else (repr(float(value)),)


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; the expression is read from its text.

    Expressions such as ``(3~4)&5@6`` are read from left to right. Their references evaluate only a part of them; the
    check evaluates the whole.
    """
    text, params = record["question"], record["params"]
    found = re.search(r"Calculate\s+(.+?)\s*\.?\s*$", text or "", re.MULTILINE)
    if not found:
        raise ValueError("no expression found in the text")
    try:
        _value(_parse(found[1], params["operator_definitions"]), params["operator_definitions"])
    except ZeroDivisionError:
        raise ValueError(f"{found[1]!r} divides by zero") from None
    return in_upstream_words(_question(params["operator_definitions"], found[1], str(params["solution"])), text)


def _question(definitions: Mapping[str, str], calculation: str, answer: str) -> Question:
    words = "one new operator is" if len(definitions) == 1 else f"{len(definitions)} new operators are"
    text = _TEXT.format(
        operators=words,
        definitions="\n".join(f"a {symbol} b = {formula}" for symbol, formula in definitions.items()),
        expression=calculation,
        example=_EXAMPLE,
    )
    metadata = {"definitions": dict(definitions), "expression": calculation}
    return Question(text=text, answer=answer, metadata=metadata, example=_EXAMPLE)


def _random_expression(rng: random.Random, operators: Sequence[str]) -> str:
    """A random tree of these operators with operands 1 to 12, every inner operation in brackets."""
    if not operators:
        return str(rng.randint(1, 12))
    i = rng.randrange(len(operators))
    sides = [_random_expression(rng, part) for part in (operators[:i], operators[i + 1 :])]
    left, right = (side if side.isdigit() else f"({side})" for side in sides)
    return f"{left} {operators[i]} {right}"


def _parse(text: str, operators: Collection[str]) -> Node:
    """The tree of an expression of numbers, new operators and brackets, from left to right within a bracket.

    Raises:
        ValueError: If the text is not such an expression.
    """
    tokens = [*re.findall(r"\d+|\S", text), ""]

    def operand() -> Node:
        token = tokens.pop(0)
        if token != "(":
            if not token.isdigit():
                raise ValueError(f"{token or 'end'!r} in place of an operand in {text!r}")
            return token
        inner = chain()
        if tokens.pop(0) != ")":
            raise ValueError(f"a bracket is not closed in {text!r}")
        return inner

    def chain() -> Node:
        left = operand()
        while tokens[0] in operators:
            left = (tokens.pop(0), left, operand())
        return left

    tree = chain()
    if tokens != [""]:
        raise ValueError(f"unexpected {tokens[0]!r} in {text!r}")
    return tree


def _value(node: Node, definitions: Mapping[str, str], kind: Callable[[str], Any] = Fraction) -> Any:
    """The value of a tree in the kind of number that ``kind`` makes of text: ``Fraction`` or ``float``.

    Raises:
        ZeroDivisionError: If it divides by zero.
    """
    if isinstance(node, str):
        return kind(node)
    a, b = (_value(side, definitions, kind) for side in node[1:])
    return evaluate(definitions[node[0]], kind, {"a": a, "b": b})


def _call(node: Node, names: Mapping[str, str]) -> str:
    """The tree as a Python expression of function calls."""
    if isinstance(node, str):
        return f"Fraction({node})"
    left, right = (_call(side, names) for side in node[1:])
    return f"{names[node[0]]}({left}, {right})"


def _steps(node: Node, names: Mapping[str, str], lines: list[str]) -> str:
    """The name of the tree's value, after appending the assignments that compute it."""
    if isinstance(node, str):
        return _call(node, names)
    left, right = (_steps(side, names, lines) for side in node[1:])
    lines.append(f"step{len(lines) + 1} = {names[node[0]]}({left}, {right})\n")
    return f"step{len(lines)}"


def _postfix(node: Node) -> list[str]:
    return [node] if isinstance(node, str) else [*_postfix(node[1]), *_postfix(node[2]), node[0]]


_STACK = """\
stack = []
for token in postfix:
    if token in operators:
        b, a = stack.pop(), stack.pop()
        stack.append(operators[token](a, b))
    else:
        stack.append(Fraction(token))
print(stack[0])
"""

_REWRITING = """\
import re

# Evaluate the innermost bracket, put its value in its place, and so on.
innermost = re.compile(r"\\(([^()\\s]+) (\\S) ([^()\\s]+)\\)")

def value(match):
    a, operator, b = match.groups()
    return str(operators[operator](Fraction(a), Fraction(b)))

text = f"({text})"
while text.startswith("("):
    text = innermost.sub(value, text)
print(text)
"""
