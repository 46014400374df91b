"""Verifiers: from a task, a question and an answer to a Score. They run in processes that can be killed."""

from collections.abc import Callable
from typing import Protocol

from r1ci_plugins.tasks.task import Question, Score, Task, Unreadable

Verifier = Callable[[Task, Question, str], Score]
"""Called inside a worker process."""


class AnswerVerifier(Protocol):
    """Checks answers for the trainer's process, as ``workers.checkers.VerifierPool`` does."""

    async def verify(self, question: Question, answer: str) -> Score:
        """Check one answer.

        Raises:
            InfrastructureFault: The checker failed; the answer is neither right nor wrong.
        """
        ...


def ask_task(task: Task, question: Question, answer: str) -> Score:
    """The built-in verifier ``task``: the verdict of the task's own checker; an answer it cannot read is wrong.

    Raises:
        TypeError: The checker returned something other than a number, such as a text that spells one.
        ValueError: The number is not finite or not in [0, 1].
    """
    try:
        verdict = task.check(question, answer)
    except Unreadable as error:
        return Score(0.0, str(error))
    if isinstance(verdict, Score):
        return verdict
    if isinstance(verdict, (str, bytes)):
        raise TypeError(f"the checker returned the text {verdict!r}, not a number")
    return Score(float(verdict))
