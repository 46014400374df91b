"""What the two MATH tasks share: where questions come from, how they end, how values are written and compared."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.errors import MissingData
from r1ci_tasks_symbench import external_data, latex_values

VARIABLE = "R1CI_MATH"
_EXAMPLE = r"-\frac{3\sqrt{7}}{19}"  # the tasks ask for sizes, counts and probabilities

Template = Callable[[random.Random], tuple[str, str]]
"""Makes one problem: its text, and its answer in LaTeX."""


class MathProblems(Task):
    """A subject of the MATH data set, or problems of our own on it.

    Attributes:
        subject: What MATH calls the subject's folder.
        templates: Our own problems, by level.
        levels: MATH's levels 1 to 5.
    """

    subject: str = ""
    templates: Sequence[Sequence[Template]] = ()
    levels = 5
    capability = "reasoning"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        """Make a problem of our own, or choose a published one of the level."""
        if (found := external_data.questions(VARIABLE, self.name, published, self.subject)) is not None:
            chosen = [q for q in found if difficulty is None or q.metadata["level"] in (None, difficulty)]
            if not chosen:
                raise MissingData(
                    f"no problem of level {difficulty}",
                    where=VARIABLE,
                    fix="leave the difficulty out, or name other data",
                )
            return rng.choice(chosen)
        level = self.level(rng, difficulty)
        text, answer = rng.choice(self.templates[level])(rng)
        return _question(text, answer, level)

    def check(self, question: Question, answer: str) -> bool:
        return latex_values.same(answer, question.answer)

    def variations(self, question: Question) -> Sequence[str]:
        answer = question.answer
        return [f"${answer}$", rf"\boxed{{{answer}}}", rf"\({answer}\)", answer.replace(r"\frac", r"\dfrac")]


def latex(coefficient: Fraction | int, radicand: int = 1, pi: bool = False) -> str:
    r"""A rational number times the root of an integer (and times pi) in lowest terms: ``\frac{3\sqrt{2}}{4}``."""
    coefficient = Fraction(coefficient)
    root = next(k for k in range(math.isqrt(radicand), 0, -1) if radicand % (k * k) == 0)
    coefficient, radicand = coefficient * root, radicand // (root * root)
    factors = (rf"\sqrt{{{radicand}}}" if radicand > 1 else "") + (r"\pi" if pi else "")
    above = abs(coefficient.numerator)
    numerator = factors if factors and above == 1 else f"{above}{factors}"
    sign = "-" if coefficient < 0 else ""
    if coefficient.denominator == 1:
        return sign + numerator
    return rf"{sign}\frac{{{numerator}}}{{{coefficient.denominator}}}"


def _question(text: str, answer: str, level: int | None) -> Question:
    return Question(
        text=f"{text}\nGive the exact value in LaTeX, with fractions, roots and \\pi where they are needed, between "
        f"<<< and >>>, in the form <<<{_EXAMPLE}>>>.",
        answer=answer,
        metadata={"level": level},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    r"""One upstream record: ``question``; ``solution``, a value or a text that boxes it; in ``params`` the ``level``.

    Raises:
        ValueError: If question or solution is missing.
    """
    if not record["question"] or not record["solution"]:
        raise ValueError("there is no question, or no solution")
    level = str(record["params"].get("level") or "").removeprefix("Level ")
    answer = latex_values.boxed(str(record["solution"]))
    return replace(_question(record["question"], answer, int(level) - 1 if level.isdecimal() else None))
