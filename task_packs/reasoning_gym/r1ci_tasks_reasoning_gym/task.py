"""One adapter for all data sets: questions from the child process, answers judged by our own checks."""

from __future__ import annotations

import random

from r1ci_plugins import Question, Score, Task
from r1ci_tasks_reasoning_gym.catalog import DATASETS
from r1ci_tasks_reasoning_gym.checks import tidied
from r1ci_tasks_reasoning_gym.generator import generator


class ReasoningGymTask(Task):
    """One data set of reasoning-gym as a task.

    The library's graded credit is dropped: it gives wrong answers 0.01 to 0.99, for parsing, for being near, for
    containing the answer, and a policy would learn to collect it. A score is 1.0 or 0.0.
    """

    def __init__(self, name: str) -> None:
        dataset = DATASETS[name]
        self.name = name
        self.description = dataset.description
        self.levels = max(1, len(dataset.levels))
        self._dataset = dataset

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        """Ask the library for the question of a seed drawn from ``rng``.

        The library seeds item i with ``seed + i``, so that neighbouring seeds share their questions; only item 0 of
        a seed is used.
        """
        level = self._dataset.levels[difficulty] if difficulty is not None and self._dataset.levels else None
        entry = generator().ask(self.name, level, rng.getrandbits(64), self._dataset.keys)
        return Question(text=entry["question"], answer=entry["answer"], metadata=entry["metadata"])

    def check(self, question: Question, answer: str) -> Score:
        """1.0 for a correct answer, else 0.0; quotes and a full stop around a correct answer do not matter."""
        if not answer.strip() or len(answer) > 4096 + 4 * len(question.answer):
            return Score(0.0, "empty, or much longer than an answer can be")
        return Score(float(self._accepts(question, answer) or self._accepts(question, tidied(answer))))

    def _accepts(self, question: Question, answer: str) -> bool:
        try:
            return self._dataset.check(answer, question.answer, question.metadata)
        except (ValueError, ArithmeticError, RecursionError):
            return False  # no check can read it, so it is in no requested format
