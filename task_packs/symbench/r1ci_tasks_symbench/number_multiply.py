"""SymBench ``number_multiply``: the exact product of signed integers."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.wording import in_upstream_words

_LEVELS = (  # numbers of factors, numbers of digits of each factor
    ((2, 2), (1, 3)),
    ((2, 4), (1, 4)),
    ((3, 5), (2, 6)),
    ((2, 4), (7, 12)),
    ((2, 5), (13, 20)),
)
_EXAMPLE = "-7919"  # a prime is not a product

_PROGRAMS = {
    "direct": """\
product = 1
for factor in factors:
    product *= factor
print(product)
""",
    "library": """\
import math

print(math.prod(factors))
""",
    "function": """\
def multiply(a, b):
    # Long multiplication: one partial product per decimal digit of b.
    sign = -1 if (a < 0) != (b < 0) else 1
    total = 0
    for place, digit in enumerate(reversed(str(abs(b)))):
        total += abs(a) * int(digit) * 10**place
    return sign * total


product = factors[0]
for factor in factors[1:]:
    product = multiply(product, factor)
print(product)
""",
}


class NumberMultiply(Task):
    """Multiply two to five signed integers of up to 20 digits, exactly.

    Source: SymBench (CodeSteer-v1.0), ``number_multiply``.
    """

    name = "number_multiply"
    description = "Multiply signed integers exactly."
    levels = len(_LEVELS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        (fewest, most), (shortest, longest) = _LEVELS[self.level(rng, difficulty)]
        factors = []
        for _ in range(rng.randint(fewest, most)):
            digits = rng.randint(shortest, longest)
            factors.append(rng.choice((1, -1)) * rng.randint(max(2, 10 ** (digits - 1)), 10**digits - 1))
        return _question(factors)

    def check(self, question: Question, answer: str) -> bool:
        return answers.integer(answer) == math.prod(question.metadata["factors"])

    def solve(self, question: Question) -> str:
        total = [1]  # decimal digits, least significant first
        negative = False
        for factor in question.metadata["factors"]:
            negative ^= factor < 0
            digits = [int(digit) for digit in reversed(str(abs(factor)))]
            columns = [0] * (len(total) + len(digits))
            for i, a in enumerate(total):
                for j, b in enumerate(digits):
                    columns[i + j] += a * b
            for i in range(len(columns) - 1):
                columns[i + 1] += columns[i] // 10
                columns[i] %= 10
            total = columns
        text = "".join(map(str, reversed(total))).lstrip("0") or "0"
        return f"-{text}" if negative and text != "0" else text

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"factors = {list(question.metadata['factors'])}\n"
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        return [f"{int(question.answer):,}", f"  {question.answer}\n"]


def _question(factors: Sequence[int]) -> Question:
    product = " * ".join(f"({factor})" if factor < 0 else str(factor) for factor in factors)
    return Question(
        text=f"Compute the exact value of {product}.\n"
        "Give it as one integer in decimal digits, with a minus sign if it is negative, between <<< and >>>, "
        f"in the form <<<{_EXAMPLE}>>>.",
        answer=str(math.prod(factors)),
        metadata={"factors": list(factors)},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``values``, ``solution`` is the product.

    Raises:
        ValueError: If a value is not an integer.
    """
    ours = _question([int(value) for value in record["params"]["values"]])
    return in_upstream_words(replace(ours, answer=str(record["solution"])), record["question"])
