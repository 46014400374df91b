"""One adapter for all data sets: questions from the child process, answers judged by our own checks."""

from __future__ import annotations

import random
from collections.abc import Sequence

from r1ci_plugins import Program, Question, Score, Task
from r1ci_plugins.tasks.answers import tidy
from r1ci_tasks_reasoning_gym.catalog import DATASETS
from r1ci_tasks_reasoning_gym.generator import generator
from r1ci_tasks_reasoning_gym.programs import PROGRAMS


class ReasoningGymTask(Task):
    """One data set of reasoning-gym as a task.

    The library's graded credit is dropped. It gives wrong answers 0.01 to 0.99 for having the right form, being near
    or containing the answer, and a policy would learn to collect that. A score is 1.0 or 0.0.
    """

    def __init__(self, name: str) -> None:
        dataset = DATASETS[name]
        self.name = name
        self.description = dataset.description
        self.capability = dataset.capability
        self.unique = dataset.unique
        self.levels = max(1, len(dataset.levels))
        self._dataset = dataset

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        """Ask the library for the question of a seed drawn from ``rng``.

        The library seeds item i with ``seed + i``, so that neighbouring seeds share their questions; only item 0 of
        a seed is used.
        """
        if self._dataset.mixed:
            difficulty = self.level(rng, difficulty)
        level = self._dataset.levels[difficulty] if difficulty is not None and self._dataset.levels else None
        entry = generator().ask(self.name, level, rng.getrandbits(64), self._dataset.keys)
        return Question(
            text=entry["question"], answer=entry["answer"], metadata=entry["metadata"], example=self._dataset.example
        )

    def check(self, question: Question, answer: str) -> Score:
        """1.0 for a correct answer, else 0.0; quotes and a full stop around a correct answer do not matter."""
        if not answer.strip() or len(answer) > 4096 + 4 * len(question.answer):
            return Score(0.0, "empty, or much longer than an answer can be")
        return Score(float(any(self._accepts(question, form) for form in _forms(answer.strip()))))

    def programs(self, question: Question) -> Sequence[Program]:
        """Short programs in several styles, for the data sets that have them."""
        try:
            codes = PROGRAMS[self.name](question.text) if self.name in PROGRAMS else {}
        except ValueError:
            return ()  # not in the form of this data set
        return tuple(Program(style, code) for style, code in codes.items())

    def _accepts(self, question: Question, answer: str) -> bool:
        reference = question.answer
        # A sentence has its own full stop; one more is harmless here as elsewhere.
        tidied = answer.removesuffix(".") if reference.endswith(".") else answer
        return self._accepted(question, answer, reference) or self._accepted(question, tidy(tidied), tidy(reference))

    def _accepted(self, question: Question, answer: str, reference: str) -> bool:
        try:
            return self._dataset.check(answer, reference, question.metadata)
        except (ValueError, ArithmeticError):
            return False  # the check cannot read it, so it does not have the requested form


def _forms(answer: str) -> Sequence[str]:
    """The answer, and what it holds in quotes: ``tidy`` leaves quotes around text that has some of its own."""
    quoted = len(answer) > 2 and answer[0] == answer[-1] and answer[0] in "\"'`"
    return (answer, answer[1:-1]) if quoted else (answer,)
