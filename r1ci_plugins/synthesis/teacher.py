"""The contract of a teacher: text in, text out, one turn at a time.

A teacher never sees token ids: what it says is tokenised for the model that will learn from it (``dialogue.py``), so a
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
class Order:
    """One trajectory that is wanted.

    Attributes:
        task: The question's task.
        question: What is asked.
        variant: How the teacher is asked to go about it.
        attempt: 0 for the first trajectory of this question, then 1, ...; attempts differ.
    """

    task: Task
    question: Question
    variant: Variant
    attempt: int = 0

    @property
    def key(self) -> str:
        """Stable identity, the same in every run."""
        return f"{self.question.key}/{self.variant}/{self.attempt}"


@dataclass(frozen=True)
class Usage:
    """What replies took.

    Attributes:
        requests: Requests that were paid for.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        cost: In the unit of the recipe's prices.
        cached: Replies that were paid for in an earlier run and came from the disk; not in the other counts.
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
    """One turn of a teacher: its text, and whether the teacher ended it (False: it met its token limit)."""

    text: str
    complete: bool = True
    usage: Usage = Usage()


class Speaker(Protocol):
    """A teacher in one conversation.

    Attributes:
        style: How it goes about it, for the record: such as ``repair brute_force``; may be empty.
    """

    style: str

    async def reply(self, turns: Sequence[str]) -> Reply:
        """Say the next turn.

        Args:
            turns: The question, then the teacher's own turns and the feedback messages, alternating.

        Raises:
            TeacherFault: There is no reply to be had; this order is lost.
            BudgetSpent: Nothing more may be spent.
            MachineProblem: The teacher cannot be used at all, or what it says cannot be kept.
        """
        ...


class Teacher(Protocol):
    """Who shows how it is done.

    Attributes:
        name: For the record, such as ``programs`` or a model's name.
    """

    @property
    def name(self) -> str: ...

    def speaker(self, order: Order) -> Speaker | None:
        """A speaker for one order; None if this teacher has nothing to say about the question."""
        ...

    async def start(self) -> None:
        """Make ready. Raises MachineProblem if that cannot be."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class TeacherFault(R1CIError):
    """The teacher failed on one order, for good; ``what`` is a countable reason, ``usage`` what that took."""

    usage = Usage()


class BudgetSpent(R1CIError):
    """The recipe's budget for the teacher is used up."""
