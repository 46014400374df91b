"""What the 27 tasks share: where problems come from, how the answer is asked for, and how it is checked."""

from __future__ import annotations

import os
import random
from abc import abstractmethod
from collections.abc import Sequence

from r1ci_plugins import Question, Task
from r1ci_plugins.errors import MissingData
from r1ci_tasks_bbh import published
from r1ci_tasks_bbh.forms import Form
from r1ci_tasks_bbh.problem import Problem

_SEAM = "\n\nPut the final answer between <<< and >>>"


class BbhTask(Task):
    """A task of BIG-Bench-Hard.

    Questions are made here unless the environment variable ``R1CI_BBH`` names the published data. Published questions
    have no levels.

    Attributes:
        form: The form of its answers.
        origin: What ``metadata["source"]`` calls problems made here.
    """

    levels = 3
    form: Form
    origin = "generated"

    @abstractmethod
    def make(self, rng: random.Random, level: int) -> Problem:
        """Make one problem of a level in ``range(levels)``."""

    def solution(self, text: str) -> str | None:
        """Solve a problem from its text alone; None if the text cannot be read."""
        return None

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        source = os.environ.get(published.VARIABLE, "")
        if source:
            return self.ask(rng.choice(published.load(source, self.name, self.form)), source)
        level = self.level(rng, difficulty)
        return self.ask(self.make(rng, level), self.origin)

    @property
    def size(self) -> int | None:  # type: ignore[override]
        """Number of published questions; None where questions are made here, or the data is not there."""
        source = os.environ.get(published.VARIABLE, "")
        try:
            return len(published.load(source, self.name, self.form)) if source else None
        except MissingData:
            return None

    def ask(self, problem: Problem, source: str) -> Question:
        """The question that asks a problem, with the form of the answer."""
        example = self.form.example(problem.target, problem.input)
        return Question(
            text=f"{problem.input}{_SEAM}: {self.form.request}, in the form <<<{example}>>>.",
            answer=problem.target,
            metadata={"source": source},
            example=example,
        )

    def check(self, question: Question, answer: str) -> bool:
        return self.form.same(answer, question.answer, problem_text(question))

    def variations(self, question: Question) -> Sequence[str]:
        return self.form.rewritten(question.answer)

    def solve(self, question: Question) -> str | None:
        return self.solution(problem_text(question))


class OwnQuestions(BbhTask):
    """A task that upstream has only as data. Without the data, a small set of questions from templates stands in.

    Facts and answers of the templates are written by hand. They keep the task usable and tested offline; they do not
    replace the published questions.
    """

    levels = 1
    origin = "own question set"


def problem_text(question: Question) -> str:
    """The problem inside a question, without the request for the answer's form."""
    return question.text.rpartition(_SEAM)[0]
