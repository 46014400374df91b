"""The task ``matrix_transformation``: rotate a matrix of characters by 90 degrees clockwise."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from string import ascii_uppercase, digits
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import tidy
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

SHAPES = (((2, 2), (2, 3), (3, 2)), ((3, 3), (2, 4), (4, 2)), ((3, 4), (4, 3), (4, 4)))
"""Rows and columns, by level."""

ALPHABETS = (ascii_uppercase, digits, "@#%&!+=?", ascii_uppercase + digits)

_EXAMPLE = "A, B"

_TEXT = """\
Rotate this matrix by 90 degrees clockwise. Its entries are separated by blanks:

{matrix}

Put all entries of the rotated matrix, one row after another from top to bottom, as one list separated by commas \
between <<< and >>>. A result with the single row A B would be written <<<{example}>>>"""


class MatrixTransformation(Task):
    """Rotate a matrix of letters, digits or symbols, 2 x 2 to 4 x 4, by 90 degrees clockwise.

    Source: ``matrix_transformation`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "matrix_transformation"
    description = "A matrix of characters rotated by 90 degrees clockwise."
    levels = len(SHAPES)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        height, width = rng.choice(SHAPES[level])
        alphabet = rng.choice(ALPHABETS)
        matrix = [rng.choices(alphabet, k=width) for _ in range(height)]
        return _question(matrix, ", ".join(entry for row in _rotated(matrix) for entry in row))

    def check(self, question: Question, answer: str) -> bool:
        expected = [entry.upper() for row in _rotated(question.metadata["matrix"]) for entry in row]
        # Tidied, and as it stands: what looks like markup or a full stop may be an entry.
        return any(_entries(text) == expected for text in (answer, tidy(answer)))

    def solve(self, question: Question) -> str | None:
        matrix = question.metadata["matrix"]
        height, width = len(matrix), len(matrix[0])
        return ", ".join(matrix[height - 1 - k % height][k // height] for k in range(height * width))

    def programs(self, question: Question) -> Sequence[Program]:
        head = f"matrix = {question.metadata['matrix']!r}\n"
        return [Program(style, f"{head}\n{code}") for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    return in_upstream_words(_question(record["params"]["matrix"], record["solution"]), record["question"])


def _question(matrix: Sequence[Sequence[str]], answer: str) -> Question:
    text = _TEXT.format(matrix="\n".join(map(" ".join, matrix)), example=_EXAMPLE)
    return Question(text=text, answer=answer, metadata={"matrix": [list(row) for row in matrix]}, example=_EXAMPLE)


def _rotated(matrix: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return list(zip(*reversed(matrix), strict=True))


def _entries(text: str) -> list[str]:
    """What stands between blanks, commas, brackets and quotes."""
    return re.findall(r"""[^][\s,;(){}"'`]+""", unicodedata.normalize("NFKC", text).upper())


_PROGRAMS = {
    "direct": """\
result = [list(column[::-1]) for column in zip(*matrix)]
print(", ".join(entry for row in result for entry in row))
""",
    "function": """\
def rotate(matrix):
    height, width = len(matrix), len(matrix[0])
    result = [[None] * height for _ in range(width)]
    for r in range(height):
        for c in range(width):
            result[c][height - 1 - r] = matrix[r][c]
    return result

print(", ".join(entry for row in rotate(matrix) for entry in row))
""",
    "index": """\
height, width = len(matrix), len(matrix[0])
entries = []
for c in range(width):
    for r in range(height - 1, -1, -1):
        entries.append(matrix[r][c])
print(", ".join(entries))
""",
    "library": """\
import numpy as np

print(", ".join(np.rot90(np.array(matrix), k=-1).flatten()))
""",
}
