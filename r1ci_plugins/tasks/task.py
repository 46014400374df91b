"""What a task-pack author reads: a Task makes questions and checks answers; a TaskPack names a set of tasks.

A complete pack is one module::

    from r1ci_plugins import Question, Task, TaskPack, hookimpl

    class Doubling(Task):
        name = "doubling"
        description = "Double an integer."

        def generate(self, rng, difficulty):
            n = rng.randrange(10 ** (2 + (difficulty or 0)))
            return Question(text=f"What is twice {n}?", answer=str(2 * n))

        def check(self, question, answer):
            return answer.strip() == question.answer

    @hookimpl
    def r1ci_task_packs():
        return [TaskPack("demo", [Doubling()])]

and one line of ``pyproject.toml``: ``[project.entry-points."r1ci.task_packs"] demo = "my_module"``.

The framework owns seeds and splits; a pack sees only a ``random.Random``. Neither this module nor a pack needs
torch, Ray, vLLM or OpenRLHF.
"""

from __future__ import annotations

import json
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from r1ci_plugins.errors import PluginError, TaskError


@dataclass(frozen=True)
class Question:
    """One question of a task.

    A pack fills ``text``, ``answer`` and ``metadata``; the framework fills the identity fields when it draws the
    question (see ``r1ci_plugins.questions.splits.draw``).

    Attributes:
        text: What the model is asked, complete with rules and the requested answer format.
        answer: One correct answer, in the format the text requests. Where several are valid, any of them.
        metadata: JSON values that ``Task.check`` needs in addition to the answer.
        example: The answer that the text shows to illustrate the format, if it shows one; never a correct one.
        task: Qualified name, ``pack/task``.
        split: ``sft``, ``rl`` or ``test``.
        index: Position in the task's stream of candidates for this split and seed; with ``task``, ``split``,
            ``seed`` and ``difficulty`` it identifies the question.
        seed: The recipe's seed.
        difficulty: Level the question was drawn at, or None for the task's default.
    """

    text: str
    answer: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    split: str = ""
    index: int = -1
    seed: int = 0
    difficulty: int | None = None
    example: str = ""

    @property
    def key(self) -> str:
        """Stable identity of the question, the same in every process and run."""
        level = "" if self.difficulty is None else f"@{self.difficulty}"
        return f"{self.task}{level}/{self.split}/{self.index}/{self.seed}"

    def to_json(self) -> str:
        """Serialise to one line of JSON.

        Raises:
            TaskError: If ``metadata`` holds something that JSON cannot carry.
        """
        try:
            return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TaskError(
                f"question metadata is not JSON: {error}",
                where=self.key,
                fix="put only strings, finite numbers, booleans, None, lists and dicts into Question.metadata",
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Question:
        """Read back what ``to_json`` wrote.

        Raises:
            TaskError: If the text is not a serialised Question.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise TaskError(f"not a serialised question: {error}", where=text[:120]) from error


class Unreadable(ValueError):
    """The answer is not in the form that was asked for. A checker lets it pass: it counts as a wrong answer."""


@dataclass(frozen=True)
class Score:
    """A checker's verdict: ``value`` in [0, 1], 1.0 meaning correct, and an optional reason for people."""

    value: float
    detail: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.value, (int, float)) and math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"a score is a finite number in [0, 1], not {self.value!r}")

    @property
    def correct(self) -> bool:
        """Whether the answer is fully correct; partial credit is not."""
        return self.value == 1.0


@dataclass(frozen=True)
class Program:
    """A short correct Python program that prints the answer to one question. Synthesis without a teacher uses it.

    Attributes:
        style: Its approach, such as ``direct``, ``function``, ``brute_force``; the same word means the same approach
            for every question of a task.
        code: Uses what the question tells and computes from it; it never just prints a known answer.
    """

    style: str
    code: str


class Task(ABC):
    """Makes questions of one kind and checks answers to them. ``generate`` and ``check`` are all that is required.

    Attributes:
        name: Lower-case identifier, unique in its pack.
        description: One sentence for ``r1ci tasks list``.
        levels: Number of difficulty levels; ``generate`` gets an int in ``range(levels)`` or None for the default.
        capability: The paper's class: ``execution``, ``planning`` or ``reasoning``; empty if not stated.
        unique: Whether a question has one correct answer, up to the way it is written; False where several are valid
            or the order of items is free. Then only the checker can tell whether a changed answer is wrong.
        size: Number of questions where they are a fixed set of data; None where any number can be made.
    """

    name: str = ""
    description: str = ""
    levels: int = 1
    capability: str = ""
    unique: bool = True
    size: int | None = None

    @abstractmethod
    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        """Make one question, with ``rng`` as the only randomness: same state, same question, in any process.

        Raises:
            MissingData: The questions are data that are not on this machine; the message says how to get them.
        """

    @abstractmethod
    def check(self, question: Question, answer: str) -> Score | float | bool:
        """Judge the text inside the model's final marker.

        Must terminate on any text and must not evaluate it as code. ``r1ci_plugins.tasks.answers`` reads the usual
        forms strictly; ``Unreadable``, which it raises on text in another form, counts as a wrong answer. A checker
        runs in a killable worker with a deadline, so a fault here costs one answer, never the run.
        """

    def level(self, rng: random.Random, difficulty: int | None) -> int:
        """The level that ``generate`` was asked for; None draws one from all levels."""
        return rng.randrange(self.levels) if difficulty is None else difficulty

    def solve(self, question: Question) -> str | None:
        """Solve a question from its text and metadata, in another way than ``generate``; None if there is none.

        Only the checks of packs call it: two ways that agree are worth more than one.
        """
        return None

    def programs(self, question: Question) -> Sequence[Program]:
        """Reference programs for a question in several styles, or none. They run in the sandbox, not here."""
        return ()

    def variations(self, question: Question) -> Sequence[str]:
        """Other ways to write ``question.answer`` that must be accepted, besides those that every task must accept."""
        return ()


@dataclass(frozen=True)
class TaskPack:
    """A named, separately installable set of tasks.

    Raises:
        PluginError: If a task has no name or a name appears twice.
    """

    name: str
    tasks: Sequence[Task]

    def __post_init__(self) -> None:
        names = [task.name for task in self.tasks]
        bad = [name for name in names if not name or "/" in name] + [n for n in set(names) if names.count(n) > 1]
        if bad or not self.name or "/" in self.name:
            raise PluginError(
                f"task names must be non-empty, unique in their pack and without '/': {sorted(bad)}",
                where=f"task pack {self.name!r}",
                fix="rename the tasks in the pack",
            )

    def __getitem__(self, name: str) -> Task:
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)
