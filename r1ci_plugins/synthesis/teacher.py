"""The contract of a teacher: text in, text out, one turn at a time.

A teacher never sees token ids. What it says is tokenised for the model that will learn from it (``dialogue.py``), so a
teacher may be any model, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from r1ci_plugins.errors import R1CIError
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.tasks.task import Question, Task


@dataclass(frozen=True)
class Attempt:
    """One trajectory that a teacher is asked for.

    Attributes:
        task: The question's task.
        question: What is asked.
        variant: How the teacher is asked to go about it.
        number: 0 for the first attempt at this question, then 1, and so on.
    """

    task: Task
    question: Question
    variant: Variant
    number: int

    @property
    def key(self) -> str:
        """Names the attempt; the same in every run."""
        return f"{self.question.key}/{self.variant}/{self.number}"


@dataclass(frozen=True)
class Usage:
    """What replies took.

    Attributes:
        requests: Requests that were paid for.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        cost: In the unit of the recipe's prices.
        cached: Replies that an earlier run paid for and that came from the disk; the other counts leave them out.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    cached: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Reply:
    """One turn of a teacher.

    Attributes:
        text: What it says.
        complete: Whether the teacher ended the turn; False when it ran into its token limit.
        usage: What the turn took.
    """

    text: str
    complete: bool = True
    usage: Usage = Usage()


class Speaker(Protocol):
    """A teacher in one conversation.

    Attributes:
        style: How it goes about it, for the record, such as ``repair brute_force``; may be empty.
    """

    style: str

    async def reply(self, turns: Sequence[str]) -> Reply:
        """Say the next turn.

        Args:
            turns: The question, then the teacher's own turns and the feedback messages, alternating.

        Raises:
            TeacherFault: The teacher cannot reply; this attempt is lost.
            BudgetSpent: No more may be spent.
            MachineProblem: The teacher cannot be used at all, or its replies cannot be kept.
        """
        ...


class Teacher(Protocol):
    """Shows how questions are answered.

    Attributes:
        name: For the record, such as ``programs`` or a model's name.
    """

    @property
    def name(self) -> str: ...

    def speaker(self, attempt: Attempt) -> Speaker | None:
        """A speaker for one attempt; None if this teacher has nothing to say about the question."""
        ...

    async def start(self) -> None:
        """Get ready. Raises MachineProblem if that is impossible."""
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


class TeacherFault(R1CIError):
    """The teacher failed on one attempt for good. ``what`` is a reason to count by, ``usage`` what it took."""

    usage = Usage()


class BudgetSpent(R1CIError):
    """The recipe's budget for the teacher is spent."""
