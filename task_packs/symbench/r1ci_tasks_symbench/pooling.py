"""The task ``pooling``: maximum or average of a sliding window over a matrix."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import number, rows
from r1ci_tasks_symbench.wording import in_upstream_words

SIZES = ((3, 2), (4, 2), (4, 3), (5, 2), (5, 3), (6, 2), (6, 3))
"""Side of the matrix and of the window, by level."""

TOLERANCE = Fraction(6, 1000)
"""For an average, two decimals are enough, rounded either way."""

_VALUES = (-10, 20)
_EXAMPLE = "99, 99, 99"  # beyond all values

_TEXT = """\
A window of {window} x {window} slides over this {side} x {side} matrix, one step at a time, at all positions where \
it lies wholly inside:

{matrix}

Perform {kind} pooling: {explanation} for each position of the window.

Put the results, from left to right and from top to bottom, as one list separated by commas between <<< and \
>>>{precision}. The form is <<<{example}>>>, though with {count} numbers."""

_EXPLANATIONS = {
    "max": "take the greatest number in the window",
    "average": "take the mean of all numbers in the window",
}


class Pooling(Task):
    """Max or average pooling, stride 1, of a 3 x 3 to 6 x 6 matrix with a window of side 2 or 3.

    Source: ``pooling`` of SymBench (CodeSteer-v1.0). The answer is unique; averages may be rounded to two decimals.
    """

    name = "pooling"
    description = "Max or average pooling of a matrix of integers."
    levels = len(SIZES)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        side, window = SIZES[self.level(rng, difficulty)]
        while True:
            matrix = [[rng.randint(*_VALUES) for _ in range(side)] for _ in range(side)]
            kind = rng.choice(["max", "average"])
            pooled = [value for row in _pooled(matrix, window, kind) for value in row]
            if len(set(pooled)) > 1:
                return _question(matrix, window, kind, ", ".join(_decimal(value) for value in pooled))

    def check(self, question: Question, answer: str) -> bool:
        data = question.metadata
        expected = [value for row in _pooled(data["matrix"], data["window"], data["kind"]) for value in row]
        given = [number(cell) for row in rows(answer) for cell in row]  # the order is enough, with or without rows
        tolerance = TOLERANCE if data["kind"] == "average" else 0
        return len(given) == len(expected) and all(
            abs(a - b) <= tolerance for a, b in zip(given, expected, strict=True)
        )

    def solve(self, question: Question) -> str:
        matrix, window, kind = (question.metadata[key] for key in ("matrix", "window", "kind"))
        count = len(matrix) - window + 1
        results = []
        for k in range(count * count):
            top, left = divmod(k, count)
            values = sorted(v for row in matrix[top : top + window] for v in row[left : left + window])
            results.append(str(values[-1]) if kind == "max" else f"{sum(values) / len(values):.4f}")
        return "[" + ", ".join(results) + "]"

    def programs(self, question: Question) -> Sequence[Program]:
        data = question.metadata
        value = "max(values)" if data["kind"] == "max" else "round(sum(values) / len(values), 2)"
        reduced = "windows.max(axis=(2, 3))" if data["kind"] == "max" else "windows.mean(axis=(2, 3)).round(2)"
        inputs = f"matrix = {[list(row) for row in data['matrix']]!r}\nn = {data['window']}\n"
        return [
            Program(style, inputs + code.format(value=value, reduced=reduced)) for style, code in _PROGRAMS.items()
        ]

    def variations(self, question: Question) -> Sequence[str]:
        data = question.metadata
        pooled = _pooled(data["matrix"], data["window"], data["kind"])
        decimals = [[_decimal(value) for value in row] for row in pooled]
        return [
            "[" + ", ".join(f"[{', '.join(row)}]" for row in decimals) + "]",
            "\n".join(" ".join(row) for row in decimals),
            ", ".join(str(float(value)) for row in pooled for value in row),
            ", ".join(str(value) for row in pooled for value in row),
        ]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    params = record["params"]
    if params["pooling_type"] not in _EXPLANATIONS:
        raise ValueError(f"no such pooling: {params['pooling_type']!r}")
    answer = ", ".join(str(value) for row in record["solution"] for value in row)
    ours = _question(params["matrix"], params["window_size"], params["pooling_type"], answer)
    return in_upstream_words(ours, record["question"])


def _question(matrix: Sequence[Sequence[int]], window: int, kind: str, answer: str) -> Question:
    return Question(
        text=_TEXT.format(
            window=window,
            side=len(matrix),
            matrix="\n".join(", ".join(map(str, row)) for row in matrix),
            kind=kind,
            explanation=_EXPLANATIONS[kind],
            precision=", rounded to two decimals" if kind == "average" else "",
            example=_EXAMPLE,
            count=(len(matrix) - window + 1) ** 2,
        ),
        answer=answer,
        metadata={"matrix": [list(row) for row in matrix], "window": window, "kind": kind},
        example=_EXAMPLE,
    )


def _pooled(matrix: Sequence[Sequence[int]], window: int, kind: str) -> list[list[Fraction]]:
    starts = range(len(matrix) - window + 1)
    windows = [[[v for row in matrix[r : r + window] for v in row[c : c + window]] for c in starts] for r in starts]
    return [
        [Fraction(max(values)) if kind == "max" else Fraction(sum(values), window * window) for values in line]
        for line in windows
    ]


def _decimal(value: Fraction) -> str:
    return str(round(float(value), 2)).removesuffix(".0")


_PROGRAMS = {
    "direct": """\
results = []
for r in range(len(matrix) - n + 1):
    for c in range(len(matrix) - n + 1):
        values = [matrix[r + i][c + j] for i in range(n) for j in range(n)]
        results.append({value})
print(", ".join(map(str, results)))
""",
    "function": """\
def pool(r, c):
    values = [v for row in matrix[r:r + n] for v in row[c:c + n]]
    return {value}


positions = range(len(matrix) - n + 1)
print([pool(r, c) for r in positions for c in positions])
""",
    "library": """\
import numpy as np

windows = np.lib.stride_tricks.sliding_window_view(np.array(matrix), (n, n))
print({reduced}.flatten().tolist())
""",
}
